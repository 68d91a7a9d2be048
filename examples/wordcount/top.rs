//! The last stage of wordcount: when all files are counted, puts the ten most frequent words into a shared list.

use std::cmp::Reverse;

use brigade_examples::checksum::FileName;
use brigade_worker::{Context, Exit, Output, Result, Worker};

struct Top;

impl Worker for Top {
    type Item = FileName;
    type Output = ();

    fn build(_: &Context) -> Result<Self> {
        Ok(Self)
    }

    /// A file has been counted. What matters here is that some day no more come.
    fn handle(&mut self, _: FileName, _: &mut Output<()>) -> Result {
        Ok(())
    }

    /// The end of the stream: every process of `count` has ended, so all counts are in the map.
    fn finish(&mut self, out: &mut Output<()>) -> Result {
        let mut words: Vec<(String, i64)> = out.ctx().map("words").iter()?.collect();
        words.sort_by(|(a, m), (b, n)| (Reverse(m), a).cmp(&(Reverse(n), b)));
        words.truncate(10);
        for (word, count) in &words {
            println!("{count:7} {word}");
        }
        out.list::<(String, i64)>("top").extend(words)?;
        Ok(())
    }
}

fn main() -> Exit {
    Top::main()
}
