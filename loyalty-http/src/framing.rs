//! Where the messages of a client begin and end: followed beside hyper, which does not tell.
//!
//! - A head that says more than once how long its body is means different things to different readers
//!   (RFC 9112, 6.1 and 6.3), and so can carry a second request past whoever stands before us. hyper lets the
//!   coding win. Here such a head is spoiled on its way to hyper, which then refuses it like all that is no
//!   HTTP: 400, and the connection closes. So are a coding other than `chunked`, and lines that end without a
//!   carriage return, which not everybody takes for lines.
//! - A head that began and never came to its end is to be told from a connection that is idle.
//!
//! All else that is wrong hyper refuses by itself; what follows then is not followed.

/// Follows what a client sends.
#[derive(Debug, Default)]
pub(crate) struct Framing {
    place: Place,
    line: Line,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Before a head, or in it.
    Head { begun: bool, body: Option<Length> },
    /// So many bytes of a body are to come.
    Body(u64),
    /// In the line before a chunk.
    ChunkSize,
    /// So many bytes of a chunk are to come, the line's end behind it included.
    Chunk(u64),
    /// Behind the last chunk.
    Trailers,
    /// Behind what is refused.
    Refused,
}

impl Default for Place {
    fn default() -> Self {
        Self::Head { begun: false, body: None }
    }
}

/// How long a body is, as its head says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Bytes(u64),
    Chunked,
}

/// A line may be one that no careful reader takes.
struct Spoiled;

impl Framing {
    /// Whether a head has begun and is not here in full.
    pub(crate) fn is_within_head(&self) -> bool {
        matches!(self.place, Place::Head { begun, .. } if begun || self.line.length > 0)
    }

    /// Follows what has come, and spoils what must be refused.
    pub(crate) fn follow(&mut self, bytes: &mut [u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let here = self.reach(rest);
            let Some((now, later)) = rest.split_at_mut_checked(here) else { return };
            self.pass(now);
            rest = later;
        }
    }

    /// How many of these bytes belong together: to a line, or to a body.
    fn reach(&self, bytes: &[u8]) -> usize {
        match self.place {
            Place::Body(left) | Place::Chunk(left) => usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len()),
            Place::Refused => bytes.len(),
            Place::Head { .. } | Place::ChunkSize | Place::Trailers => {
                let end = bytes.iter().position(|byte| *byte == b'\n');
                end.map_or(bytes.len(), |end| end.saturating_add(1))
            }
        }
    }

    fn pass(&mut self, bytes: &mut [u8]) {
        let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        match self.place {
            Place::Refused => {}
            Place::Body(left) if left <= count => self.place = Place::default(),
            Place::Body(left) => self.place = Place::Body(left.saturating_sub(count)),
            Place::Chunk(left) if left <= count => self.place = Place::ChunkSize,
            Place::Chunk(left) => self.place = Place::Chunk(left.saturating_sub(count)),
            Place::Head { .. } | Place::ChunkSize | Place::Trailers => {
                self.line.take(bytes);
                if let Some(end) = bytes.last_mut().filter(|last| **last == b'\n') {
                    let line = std::mem::take(&mut self.line);
                    if let Err(Spoiled) = self.end_line(&line) {
                        // In no line of HTTP, wherever it stands.
                        *end = 0;
                        self.place = Place::Refused;
                    }
                }
            }
        }
    }

    fn end_line(&mut self, line: &Line) -> Result<(), Spoiled> {
        let text = line.text().ok_or(Spoiled)?;
        self.place = match self.place {
            Place::Head { begun: false, body } => Place::Head { begun: !text.is_empty(), body },
            Place::Head { body, .. } if text.is_empty() => match body {
                None | Some(Length::Bytes(0)) => Place::default(),
                Some(Length::Bytes(count)) => Place::Body(count),
                Some(Length::Chunked) => Place::ChunkSize,
            },
            Place::Head { begun, body } => match (body, length(text, line.is_whole())?) {
                (Some(_), Some(_)) => return Err(Spoiled),
                (known, told) => Place::Head { begun, body: known.or(told) },
            },
            Place::ChunkSize => match chunk_size(text) {
                Some(0) => Place::Trailers,
                Some(size) => Place::Chunk(size.saturating_add(2)),
                None => Place::Refused,
            },
            Place::Trailers if text.is_empty() => Place::default(),
            same @ (Place::Trailers | Place::Body(_) | Place::Chunk(_) | Place::Refused) => same,
        };
        Ok(())
    }
}

/// What a header line says of the body's length.
fn length(line: &[u8], is_whole: bool) -> Result<Option<Length>, Spoiled> {
    let Some(colon) = line.iter().position(|byte| *byte == b':') else { return Ok(None) };
    let (name, value) = line.split_at_checked(colon).unwrap_or_default();
    let value = value.get(1..).unwrap_or_default().trim_ascii();
    let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
    if !is("content-length") && !is("transfer-encoding") {
        return Ok(None);
    }
    if is("transfer-encoding") {
        let is_chunked = is_whole && value.eq_ignore_ascii_case(b"chunked");
        return if is_chunked { Ok(Some(Length::Chunked)) } else { Err(Spoiled) };
    }
    let digits = Some(value).filter(|value| is_whole && value.iter().all(u8::is_ascii_digit));
    let count = digits.and_then(|digits| str::from_utf8(digits).ok()?.parse().ok());
    count.map(|count| Some(Length::Bytes(count))).ok_or(Spoiled)
}

/// The size in front of a chunk; extensions may follow it.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|byte| !byte.is_ascii_hexdigit()).next()?;
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// How much of a line is looked at. All that says a length fits.
const START: usize = 64;

/// The line that is coming in.
#[derive(Debug)]
struct Line {
    start: [u8; START],
    /// How many bytes have come.
    length: usize,
    /// The last two of them.
    end: [u8; 2],
}

impl Default for Line {
    fn default() -> Self {
        Self { start: [0; START], length: 0, end: [0; 2] }
    }
}

impl Line {
    fn take(&mut self, bytes: &[u8]) {
        let room = self.start.iter_mut().skip(self.length);
        room.zip(bytes).for_each(|(to, byte)| *to = *byte);
        self.length = self.length.saturating_add(bytes.len());
        let [.., last] = self.end;
        self.end = match bytes {
            [] => self.end,
            [one] => [last, *one],
            [.., one, other] => [*one, *other],
        };
    }

    /// Without its end; cut off where it is too long to be of interest. None where it ends in another way than
    /// lines do.
    fn text(&self) -> Option<&[u8]> {
        let length = self.length.checked_sub(2).filter(|_| self.end == *b"\r\n")?;
        self.start.get(..length.min(START))
    }

    fn is_whole(&self) -> bool {
        self.length <= START
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::arithmetic_side_effects)]

    use super::*;

    /// Where bytes were spoiled, and whether a head is open at the end: the same in one piece and byte by byte.
    fn followed(text: &str) -> (Vec<usize>, bool) {
        let spoiled = |bytes: &[u8]| (0..bytes.len()).filter(|at| bytes[*at] != text.as_bytes()[*at]).collect();
        let (mut whole, mut framing) = (text.as_bytes().to_vec(), Framing::default());
        framing.follow(&mut whole);
        let one = (spoiled(&whole), framing.is_within_head());
        for size in [1, 2, 3, 7] {
            let (mut pieces, mut framing) = (text.as_bytes().to_vec(), Framing::default());
            pieces.chunks_mut(size).for_each(|piece| framing.follow(piece));
            assert_eq!((spoiled(&pieces), framing.is_within_head()), one, "in pieces of {size}: {text}");
        }
        one
    }

    const END: (Vec<usize>, bool) = (Vec::new(), false);
    const WITHIN: (Vec<usize>, bool) = (Vec::new(), true);

    #[test]
    fn messages_end_where_they_end() {
        let twice = "content-length: 1\r\ncontent-length: 1\r\n";
        let rows = [
            "",
            "GET / HTTP/1.1\r\nhost: x\r\n\r\n",
            "\r\n\r\nGET / HTTP/1.1\r\n\r\n",
            // What stands in a body is no head.
            &format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n{twice}", twice.len()),
            &format!("POST / HTTP/1.1\r\nTRANSFER-ENCODING:Chunked \r\n\r\n26;a=b\r\n{twice}\r\n0\r\n\r\n"),
            &format!("POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n{twice}\r\n"),
            "POST / HTTP/1.1\r\ncontent-length: 0\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        ];
        for text in rows {
            assert_eq!(followed(text), END, "{text}");
            // The next head begins behind it, and is open until it ends.
            assert_eq!(followed(&format!("{text}GET")), WITHIN, "{text}");
            assert_eq!(followed(&format!("{text}GET / HTTP/1.1\r\na: b\r\n")), WITHIN, "{text}");
            let at = |line: &str| text.len() + line.len() - 1;
            let line = format!("GET / HTTP/1.1\r\n{twice}");
            assert_eq!(followed(&format!("{text}{line}\r\n")).0, [at(&line)], "{text}");
        }
        assert_eq!(followed("POST / HTTP/1.1\r\ncontent-length: 5\r\n\r\nabcd"), END);
    }

    #[test]
    fn what_is_refused_is_spoiled_where_it_says_so() {
        let rows = [
            "content-length: 3\r\nhost: x\r\ncontent-length: 3\r\n",
            "content-length: 3\r\ntransfer-encoding: chunked\r\n",
            "Transfer-Encoding: chunked\r\nCONTENT-LENGTH: 3\r\n",
            "transfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n",
            "transfer-encoding: gzip, chunked\r\n",
            "transfer-encoding: identity\r\n",
            "content-length: 3, 3\r\n",
            "content-length: +3\r\n",
            "content-length:\r\n",
            "content-length: 18446744073709551616\r\n",
            &format!("content-length: {}3\r\n", " ".repeat(64)),
            "host: x\n",
            "\n",
        ];
        for lines in rows {
            let text = format!("POST / HTTP/1.1\r\n{lines}");
            // Behind it nothing is followed any more.
            let (spoiled, within) = followed(&format!("{text}\r\n\nGET"));
            assert_eq!((spoiled, within), (vec![text.len() - 1], false), "{lines}");
        }
        for text in ["GET / HTTP/1.1\n", "\n"] {
            assert_eq!(followed(text).0, [text.len() - 1]);
        }
        let chunked = "POST / HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n";
        for text in [format!("{chunked}3\n"), format!("{chunked}0\r\na: b\n")] {
            assert_eq!(followed(&text).0, [text.len() - 1]);
        }
    }
}
