//! Cuts a stream of bytes into lines. Without it, a line would depend on how the pipe happened to chop it.

/// The longest piece, in bytes. A longer line comes in several.
pub const MAX_PIECE: usize = 64 * 1024;

/// A line without its line end, or a part of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// At most [`MAX_PIECE`] bytes.
    pub bytes: &'a [u8],
    /// It goes on a piece that came before.
    pub continues: bool,
    /// No line end came after it: it goes on in the next piece, or the stream ended there.
    pub partial: bool,
}

/// The lines of one stream. Which pieces come out depends on the bytes alone, not on the chunks they came in.
/// Keeps at most [`MAX_PIECE`] bytes between calls.
#[derive(Debug, Default)]
pub struct Framer {
    pending: Vec<u8>,
    continues: bool,
}

impl Framer {
    /// Takes the next bytes and hands out the pieces that they complete.
    pub fn push(&mut self, chunk: &[u8], mut each: impl FnMut(Piece<'_>)) {
        for segment in chunk.split_inclusive(|byte| *byte == b'\n') {
            match segment.strip_suffix(b"\n") {
                Some(line) if self.pending.is_empty() && line.len() <= MAX_PIECE => {
                    each(Piece { bytes: line, continues: self.continues, partial: false });
                    self.continues = false;
                }
                Some(end) => {
                    self.pending.extend_from_slice(end);
                    self.cut(&mut each);
                    each(Piece { bytes: &self.pending, continues: self.continues, partial: false });
                    self.pending.clear();
                    self.continues = false;
                }
                None => {
                    self.pending.extend_from_slice(segment);
                    self.cut(&mut each);
                }
            }
        }
    }

    /// The stream has ended: hands out the unterminated last line, if there is one.
    pub fn finish(&mut self, mut each: impl FnMut(Piece<'_>)) {
        if !self.pending.is_empty() {
            each(Piece { bytes: &self.pending, continues: self.continues, partial: true });
            self.pending.clear();
        }
        self.continues = false;
    }

    /// What has come of a line whose end has not come yet.
    pub fn pending(&self) -> &[u8] {
        &self.pending
    }

    fn cut(&mut self, each: &mut impl FnMut(Piece<'_>)) {
        while self.pending.len() > MAX_PIECE {
            let end = boundary(&self.pending);
            each(Piece { bytes: &self.pending[..end], continues: self.continues, partial: true });
            self.pending.drain(..end);
            self.continues = true;
        }
    }
}

/// Where to cut so that no UTF-8 character is torn. A character has at most three bytes after its first.
fn boundary(bytes: &[u8]) -> usize {
    let starts_character = |at: &usize| bytes[*at] & 0b1100_0000 != 0b1000_0000;
    (MAX_PIECE - 3..=MAX_PIECE).rev().find(starts_character).unwrap_or(MAX_PIECE)
}

#[cfg(test)]
mod tests {
    use super::*;

    type Owned = (Vec<u8>, bool, bool);

    fn frame<'a>(chunks: impl IntoIterator<Item = &'a [u8]>) -> Vec<Owned> {
        let (mut framer, mut out) = (Framer::default(), Vec::new());
        let mut keep = |piece: Piece<'_>| out.push((piece.bytes.to_vec(), piece.continues, piece.partial));
        for chunk in chunks {
            framer.push(chunk, &mut keep);
        }
        framer.finish(&mut keep);
        out
    }

    #[test]
    fn empty_lines_and_the_unterminated_last_line_are_kept() {
        let whole = |text: &str| (text.as_bytes().to_vec(), false, false);
        assert_eq!(
            frame([b"a\n\nb\r\nlast".as_slice()]),
            [whole("a"), whole(""), whole("b\r"), (b"last".to_vec(), false, true)]
        );
        assert_eq!(frame([b"a\n".as_slice()]), [whole("a")]);
        assert_eq!(frame([b"".as_slice()]), []);
    }

    #[test]
    fn a_long_line_comes_in_pieces_that_do_not_tear_a_character() {
        let line = format!("x{}\nnext\n", "ä€".repeat(40_000));
        let pieces = frame([line.as_bytes()]);
        assert_eq!(pieces.len(), 5);
        assert!(pieces.iter().all(|(bytes, ..)| bytes.len() <= MAX_PIECE && std::str::from_utf8(bytes).is_ok()));
        let marks: Vec<_> = pieces.iter().map(|(_, continues, partial)| (*continues, *partial)).collect();
        assert_eq!(marks, [(false, true), (true, true), (true, true), (true, false), (false, false)]);
        let together: Vec<u8> = pieces[..4].iter().flat_map(|(bytes, ..)| bytes.clone()).collect();
        assert_eq!(together, line.lines().next().expect("it has lines").as_bytes());
    }

    #[test]
    fn a_line_of_exactly_the_longest_length_is_one_piece() {
        let line = [vec![b'x'; MAX_PIECE], b"\n".to_vec()].concat();
        assert_eq!(frame([line.as_slice()]), [(vec![b'x'; MAX_PIECE], false, false)]);
    }

    #[test]
    fn pieces_do_not_depend_on_how_the_bytes_were_chopped() {
        let mut state = 0x9E37_79B9_7F4A_7C15_u64;
        let mut random = move |below: usize| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            usize::try_from(state % below as u64).expect("it is small")
        };
        for _ in 0..20 {
            let mut bytes = Vec::new();
            for _ in 0..random(40) {
                let length = if random(8) == 0 { MAX_PIECE - 2 + random(MAX_PIECE * 2) } else { random(300) };
                let odd = random(3) == 0;
                bytes.extend((0..length).map(|_| if odd { random(256) as u8 } else { b'a' + random(26) as u8 }));
                bytes.extend("€\n".bytes().take(if random(5) == 0 { 2 } else { 4 }));
            }
            let (mut chunks, mut rest) = (Vec::new(), bytes.as_slice());
            while !rest.is_empty() {
                let limit = if random(2) == 0 { 10 } else { 100_000 };
                let (chunk, remainder) = rest.split_at((1 + random(limit)).min(rest.len()));
                chunks.push(chunk);
                rest = remainder;
            }
            let (whole, chopped) = (frame([bytes.as_slice()]), frame(chunks));
            assert!(whole == chopped, "{} pieces from one chunk, {} from many", whole.len(), chopped.len());
        }
    }
}
