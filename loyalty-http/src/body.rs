//! Reads a whole request body within its limits of size and time.
//!
//! Almost every body arrives in one chunk with the head. That chunk is returned without a
//! copy; only a body of several chunks is copied.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::HeaderMap;
use hyper::body::Body;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE};

use crate::problem::Problem;

/// The limits of a request body.
#[derive(Clone, Copy, Debug)]
pub struct BodyLimits {
    /// The maximum size in bytes.
    pub max_bytes: usize,
    /// The time from the end of the head to the end of the body.
    pub timeout: Duration,
}

impl Default for BodyLimits {
    /// 1 MiB and 10 seconds.
    fn default() -> Self {
        Self { max_bytes: 1 << 20, timeout: Duration::from_secs(10) }
    }
}

/// The media types that a route accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AcceptedMedia {
    /// `application/json`, with or without `charset=utf-8`.
    Json,
    /// Any type or none, since store plugins do not always send a `Content-Type`.
    Any,
}

/// Reads the body of a request with these `headers`. A missing body counts as empty.
///
/// # Errors
/// 413 `body_too_large` (without reading, if the length is announced), 408
/// `body_too_slow`, 415 `unsupported_media_type`, and 400 `broken_body` for an
/// interrupted transfer.
pub async fn read<B>(
    headers: &HeaderMap,
    body: B,
    limits: BodyLimits,
    media: AcceptedMedia,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    let check = PrefixCheck { bytes: usize::MAX, admit: |_: &[u8]| Ok(()) };
    read_checked(headers, body, limits, media, check).await
}

/// A check of a body when more than this number of bytes has arrived, before memory is
/// allocated for the rest. A shorter body is not checked.
pub(crate) struct PrefixCheck<F> {
    pub(crate) bytes: usize,
    pub(crate) admit: F,
}

/// The same as [`read`] with a check of the body's beginning.
pub(crate) async fn read_checked<B, F>(
    headers: &HeaderMap,
    body: B,
    limits: BodyLimits,
    media: AcceptedMedia,
    check: PrefixCheck<F>,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
    F: FnOnce(&[u8]) -> Result<(), Problem>,
{
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }

    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > limits.max_bytes {
        return Err(too_large(limits));
    }

    let collected =
        tokio::time::timeout(limits.timeout, collect(body, announced, limits, check)).await;
    let bytes = collected.map_err(|_| too_slow(limits))??;
    if !bytes.is_empty() {
        check_media(headers, media)?;
    }
    Ok(bytes)
}

/// Joins all chunks. Memory for the `announced` length is allocated once, or when the check
/// has passed; a body of unknown length takes at most twice its size.
async fn collect<B, F>(
    mut body: B,
    announced: usize,
    limits: BodyLimits,
    check: PrefixCheck<F>,
) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
    F: FnOnce(&[u8]) -> Result<(), Problem>,
{
    let first = next_chunk(&mut body, limits.max_bytes, limits).await?;
    if body.is_end_stream() || first.is_empty() {
        return Ok(first);
    }

    let mut whole = BytesMut::with_capacity(announced.min(check.bytes).max(first.len()));
    whole.extend_from_slice(&first);
    // Frees its buffer before further chunks arrive.
    drop(first);

    let mut unchecked = Some(check);
    loop {
        if let Some(check) = unchecked.take_if(|check| whole.len() > check.bytes) {
            (check.admit)(&whole)?;
            whole.reserve(announced.saturating_sub(whole.len()));
        }

        let remaining = limits.max_bytes.saturating_sub(whole.len());
        let chunk = next_chunk(&mut body, remaining, limits).await?;
        if chunk.is_empty() {
            return Ok(whole.freeze());
        }
        whole.extend_from_slice(&chunk);
    }
}

/// The next chunk of at most `max_bytes`; empty at the end. Trailers are ignored.
async fn next_chunk<B>(body: &mut B, max_bytes: usize, limits: BodyLimits) -> Result<Bytes, Problem>
where
    B: Body<Data = Bytes> + Unpin,
{
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| broken_transfer())?;
        match frame.into_data() {
            Ok(chunk) if chunk.len() > max_bytes => return Err(too_large(limits)),
            Ok(chunk) if !chunk.is_empty() => return Ok(chunk),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(Bytes::new())
}

fn check_media(headers: &HeaderMap, media: AcceptedMedia) -> Result<(), Problem> {
    if let Some(coding) = headers.get(CONTENT_ENCODING)
        && !coding.as_bytes().eq_ignore_ascii_case(b"identity")
    {
        let problem = Problem::unsupported_media_type("Send the body without a Content-Encoding.");
        return Err(problem.with_param("Content-Encoding"));
    }

    if media == AcceptedMedia::Any {
        return Ok(());
    }

    // Two types are ambiguous, so there must be exactly one.
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let is_json = types
        .next()
        .and_then(|value| value.to_str().ok())
        .is_some_and(is_json);
    if is_json && types.next().is_none() {
        return Ok(());
    }
    let problem =
        Problem::unsupported_media_type("Send the body as Content-Type application/json.");
    Err(problem.with_param("Content-Type"))
}

/// Accepts `application/json`, alone or with the charset UTF-8 (RFC 9110, 8.3).
fn is_json(content_type: &str) -> bool {
    let mut parts = content_type.split(';').map(str::trim);
    let media = parts.next().unwrap_or_default();
    media.eq_ignore_ascii_case("application/json") && parts.all(is_utf8_or_no_charset)
}

fn is_utf8_or_no_charset(parameter: &str) -> bool {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, "utf-8"));
    !name.eq_ignore_ascii_case("charset") || value.trim_matches('"').eq_ignore_ascii_case("utf-8")
}

fn too_large(limits: BodyLimits) -> Problem {
    let limit = limits.max_bytes;
    let detail = format!("The body must be at most {limit} bytes.");
    Problem::payload_too_large("body_too_large", detail)
        .with_extension("limit", i64::try_from(limit).unwrap_or(i64::MAX))
}

fn too_slow(limits: BodyLimits) -> Problem {
    let seconds = limits.timeout.as_secs();
    let detail = format!("The body did not arrive within {seconds} seconds.");
    Problem::request_timeout("body_too_slow", detail)
}

fn broken_transfer() -> Problem {
    Problem::bad_request("broken_body", "The transfer of the body was interrupted.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)]

    use super::*;
    use http_body_util::Full;
    use hyper::body::Frame;
    use std::collections::VecDeque;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    /// A body of unknown length: its chunks, and its end.
    struct ChunkedBody(VecDeque<&'static [u8]>, BodyEnd);

    #[derive(Clone, Copy)]
    enum BodyEnd {
        Complete,
        Pending,
        Error,
    }

    impl Body for ChunkedBody {
        type Data = Bytes;
        type Error = &'static str;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, &'static str>>> {
            match self.0.pop_front() {
                Some(chunk) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(chunk))))),
                None => match self.1 {
                    BodyEnd::Complete => Poll::Ready(None),
                    BodyEnd::Pending => Poll::Pending,
                    BodyEnd::Error => Poll::Ready(Some(Err("reset"))),
                },
            }
        }
    }

    const LIMITS: BodyLimits = BodyLimits { max_bytes: 8, timeout: Duration::from_millis(20) };

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(*name, value.parse().unwrap());
        }
        headers
    }

    fn read_now<B: Body<Data = Bytes> + Unpin>(body: B) -> Result<Bytes, &'static str> {
        let json = headers(&[("content-type", "application/json")]);
        run(read(&json, body, LIMITS, AcceptedMedia::Json))
    }

    fn run<T>(future: impl Future<Output = Result<T, Problem>>) -> Result<T, &'static str> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap();
        runtime.block_on(future).map_err(|problem| problem.code())
    }

    fn chunked(chunks: &[&'static [u8]], end: BodyEnd) -> ChunkedBody {
        ChunkedBody(chunks.iter().copied().collect(), end)
    }

    #[test]
    fn whole_bodies() {
        assert_eq!(read_now(Full::from("12345678")).unwrap(), "12345678");
        assert_eq!(read_now(Full::from("")).unwrap(), "");
        assert_eq!(
            read_now(chunked(&[b"123", b"", b"45", b"678"], BodyEnd::Complete)).unwrap(),
            "12345678"
        );
        assert_eq!(read_now(chunked(&[], BodyEnd::Complete)).unwrap(), "");
    }

    #[test]
    fn the_limit_applies_with_and_without_a_content_length() {
        assert_eq!(read_now(Full::from("123456789")), Err("body_too_large"));
        assert_eq!(read_now(chunked(&[b"123456789"], BodyEnd::Pending)), Err("body_too_large"));
        assert_eq!(
            read_now(chunked(&[b"12345", b"6789"], BodyEnd::Pending)),
            Err("body_too_large")
        );
        // Before the type of the body is checked.
        let none = HeaderMap::new();
        let early = read(&none, Full::from("123456789"), LIMITS, AcceptedMedia::Json);
        assert_eq!(run(early), Err("body_too_large"));
    }

    #[test]
    fn a_long_body_is_checked_before_the_rest_is_read() {
        let read_with = |chunks: &[&'static [u8]], end, passes: bool| {
            let check = PrefixCheck {
                bytes: 4,
                admit: |prefix: &[u8]| {
                    assert_eq!(prefix, b"12345");
                    if passes { Ok(()) } else { Err(Problem::unauthorized("unknown")) }
                },
            };
            let json = headers(&[("content-type", "application/json")]);
            run(read_checked(&json, chunked(chunks, end), LIMITS, AcceptedMedia::Json, check))
        };
        assert_eq!(read_with(&[b"12", b"34"], BodyEnd::Complete, false).unwrap(), "1234");
        assert_eq!(read_with(&[b"12", b"345"], BodyEnd::Pending, false), Err("unauthorized"));
        assert_eq!(read_with(&[b"12", b"345"], BodyEnd::Pending, true), Err("body_too_slow"));
        assert_eq!(
            read_with(&[b"12", b"345", b"678"], BodyEnd::Complete, true).unwrap(),
            "12345678"
        );
    }

    #[test]
    fn the_timeout_applies() {
        assert_eq!(read_now(chunked(&[b"123"], BodyEnd::Pending)), Err("body_too_slow"));
        assert_eq!(read_now(chunked(&[], BodyEnd::Pending)), Err("body_too_slow"));
    }

    #[test]
    fn an_aborted_transfer_is_broken_body() {
        assert_eq!(read_now(chunked(&[b"12"], BodyEnd::Error)), Err("broken_body"));
    }

    #[test]
    fn media_types() {
        let rows: &[(&[(&str, &str)], bool)] = &[
            (&[("content-type", "application/json")], true),
            (&[("content-type", "Application/JSON; Charset=\"UTF-8\"")], true),
            (&[("content-type", "application/json;charset=utf-8")], true),
            (&[("content-type", "application/json; charset=latin1")], false),
            (&[("content-type", "application/jsonp")], false),
            (&[("content-type", "text/plain")], false),
            (&[("content-type", "application/x-www-form-urlencoded")], false),
            (&[("content-type", "application/json"), ("content-type", "text/html")], false),
            (&[("content-type", "application/json"), ("content-encoding", "gzip")], false),
            (&[], false),
        ];
        for (pairs, accepted) in rows {
            let got = run(read(&headers(pairs), Full::from("{}"), LIMITS, AcceptedMedia::Json));
            let expected = if *accepted { Ok("{}".into()) } else { Err("unsupported_media_type") };
            assert_eq!(got, expected, "{pairs:?}");
        }
        let none = HeaderMap::new();
        assert_eq!(run(read(&none, Full::from("{}"), LIMITS, AcceptedMedia::Any)), Ok("{}".into()));
        assert_eq!(run(read(&none, Full::from(""), LIMITS, AcceptedMedia::Json)), Ok("".into()));
    }
}
