#!/bin/sh
# What the tools are given to run: child.sh HOW LEDGER. Each process writes its pid into the ledger, and carries the
# ledger's name in its environment, so that the trial finds whoever is left whatever the tool does to the environment.
how=$1
ledger=$2
export TRIAL_LEDGER="$ledger"
deaf='trap "" TERM INT HUP QUIT; echo "$1 $$" >>"$2"; exec sleep 1000'
case $how in
calm)
    echo "child $$" >>"$ledger"
    exec sleep 1000
    ;;
deaf)
    exec sh -c "$deaf" sh child "$ledger"
    ;;
family)
    sh -c "$deaf" sh grandchild "$ledger" &
    setsid sh -c "$deaf" sh escaped "$ledger" &
    echo "child $$" >>"$ledger"
    exec sleep 1000
    ;;
crash)
    echo "child $$" >>"$ledger"
    exit 1
    ;;
talk)
    echo "child $$" >>"$ledger"
    sleep 2 # Some tools take an earlier end for a failed start.
    seq -f 'line %06.0f of what the child has to say' 1 200000
    printf 'the last line, which has no end'
    echo "done $$" >>"$ledger"
    ;;
esac
