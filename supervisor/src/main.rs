//! The binary `brigade`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut args = std::env::args().skip(1);
    match args.next().as_deref() {
        Some("manager") => return brigade::manager::run(),
        _ => {}
    }
    let mut l = brigade::launch::Launch {
        file: args.next().unwrap().into(),
        sets: vec![],
        state_dir: None,
        fresh: false,
        report: None,
        quiet: false,
    };
    while let Some(a) = args.next() {
        match a.as_str() {
            "--set" => {
                let v = args.next().unwrap();
                let (k, v) = v.split_once('=').unwrap();
                l.sets.push((k.into(), v.into()));
            }
            "--state-dir" => l.state_dir = args.next().map(Into::into),
            "--fresh" => l.fresh = true,
            _ => panic!(),
        }
    }
    brigade::launch::launch(&l)
}
