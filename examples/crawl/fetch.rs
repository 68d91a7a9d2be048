//! The stage of crawl that waits: fetches a page, and sends on every link on it that nobody has seen before.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use brigade_examples::crawl::{Page, claim, done, found_by, ports};
use brigade_worker::{Context, Exit, Output, run};

fn fetch(page: Page, out: &mut Output<Page>) -> brigade_worker::Result {
    let done = done(out.ctx());
    if done.get(&page)?.is_none() {
        pass_links_on(&page, out)?;
        done.insert(&page, &())?;
    }
    out.to("pages").send(page)?;
    Ok(())
}

fn pass_links_on(page: &Page, out: &mut Output<Page>) -> brigade_worker::Result {
    let body = match get(page, out.ctx()) {
        Ok(body) => body,
        Err(error) => {
            // The page will be delivered again. The server may be about to start again: give it a moment.
            out.ctx().sleep(Duration::from_millis(200));
            return Err(error);
        }
    };
    let found_by = found_by(out.ctx());
    for link in links(&body) {
        if claim(&found_by, &link, page)? {
            out.to("links").send(link)?;
        }
    }
    Ok(())
}

fn get(page: &Page, ctx: &Context) -> brigade_worker::Result<String> {
    let port = ports(ctx).get("server")?.ok_or("the server is not up yet")?;
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    write!(stream, "GET {page} HTTP/1.0\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.0 200 ") => Ok(body.to_owned()),
        Some((head, _)) => Err(format!("{page}: {head}").into()),
        None => Err(io::Error::from(io::ErrorKind::UnexpectedEof).into()),
    }
}

/// Where the links of a page lead, each once.
fn links(body: &str) -> BTreeSet<Page> {
    body.split("href=\"").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

fn main() -> Exit {
    run(fetch)
}
