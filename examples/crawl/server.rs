//! The service of crawl: a small web server on this machine whose pages take their time and hold links to others.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use brigade_examples::crawl::ports;
use brigade_worker::{Context, Exit, Misconfigured, work};

fn serve(ctx: &Context) -> brigade_worker::Result {
    let [pages, delay] = [1, 2].map(|place| std::env::args().nth(place).and_then(|text| text.parse().ok()));
    let (Some(pages), Some(delay)) = (pages, delay) else {
        return Err(Misconfigured::new("usage: crawl-server PAGES DELAY_MS").into());
    };
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer(stream, pages, Duration::from_millis(delay)));
        }
    });
    loop {
        // More than once: should the state be put aside as damaged, the next manager knows nothing of us.
        ports(ctx).insert("server", &port)?;
        if !ctx.sleep(Duration::from_millis(500)) {
            return Ok(());
        }
    }
}

/// Page n links to four pages of its own, to one that others link to as well, and to the first.
fn answer(mut stream: TcpStream, pages: u64, delay: Duration) -> io::Result<()> {
    let mut request = String::new();
    BufReader::new(&stream).read_line(&mut request)?;
    thread::sleep(delay);
    let page = request.strip_prefix("GET /").and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
    let Some(page) = page.filter(|page| *page < pages) else {
        return stream.write_all(b"HTTP/1.0 404 Not Found\r\n\r\n");
    };
    let mut body = format!("HTTP/1.0 200 OK\r\nContent-Type: text/html\r\n\r\n<h1>Page {page}</h1>\n");
    for link in (4 * page + 1..=4 * page + 4).filter(|link| *link < pages).chain([page / 2, 0]) {
        body += &format!("<a href=\"/{link}\">page {link}</a>\n");
    }
    stream.write_all(body.as_bytes())
}

fn main() -> Exit {
    work(serve)
}
