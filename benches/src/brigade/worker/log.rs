//! A line of stages that reads lines of an access log and counts their status codes in shared maps.

use brigade_worker::{Context, Output, RecvError, Result};

use super::{Numbers, keep};
use crate::sample::{Sample, now};

/// What is known of a visit: its status code and its bytes.
type Visit = (u16, u64);

/// So many lines, 64 at a time.
pub fn send(ctx: &Context, n: &Numbers) -> Result {
    let sender = ctx.sender::<String>("lines")?;
    let line = |number: u64| {
        let status = [200, 200, 200, 304, 404, 500][number as usize % 6];
        format!("10.0.0.{} - - [01/Dec/2026] \"GET /lamps/{number} HTTP/1.1\" {status} {}", number % 256, number % 5000)
    };
    let run: Vec<_> = (0..64).map(line).collect();
    for left in (1..=n[0]).rev().step_by(64) {
        sender.send_many(&run[..64.min(left as usize)])?;
    }
    Ok(())
}

/// Reads a line and hands on what is known of the visit.
pub fn parse(line: &str, out: &mut Output<Visit>) -> Result {
    let mut words = line.rsplit(' ');
    let (bytes, status) = (words.next().ok_or("no bytes")?, words.next().ok_or("no status")?);
    Ok(out.send((status.parse()?, bytes.parse()?))?)
}

/// The same, and counts the visits and their bytes by status code.
pub fn parse_and_count(line: &str, out: &mut Output<Visit>) -> Result {
    let mut words = line.rsplit(' ');
    let (bytes, status) = (words.next().ok_or("no bytes")?, words.next().ok_or("no status")?);
    let (status, bytes): Visit = (status.parse()?, bytes.parse()?);
    out.map::<u16, i64>("hits").add(&status, 1)?;
    out.map::<u16, i64>("bytes").add(&status, i64::try_from(bytes)?)?;
    Ok(out.send((status, bytes))?)
}

/// Takes the visits.
pub fn recv(ctx: &Context, n: &Numbers) -> Result {
    let visits = ctx.receiver::<Visit>("visits")?;
    let (mut begun, mut items) = (None, 0);
    loop {
        match visits.recv_many(64) {
            Ok(run) => {
                begun.get_or_insert_with(now);
                items += std::hint::black_box(&*run).len() as u64;
                run.ack();
            }
            Err(RecvError::Ended) if items == n[0] => break,
            Err(RecvError::Ended) => return Err(format!("{items} of {} visits came", n[0]).into()),
            Err(error) => return Err(error.into()),
        }
    }
    let ended = now();
    keep(ctx, &Sample::Span { begun: begun.unwrap_or(ended), ended, items })
}
