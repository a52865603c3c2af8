//! A body that is sent in slices.
//!
//! hyper copies each part of a body into its buffer. It asks for the next part when there is room, so with small parts a
//! response that a client does not read is in memory once, and is freed as soon as its last part is sent.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Frame, SizeHint};

/// The size of a slice. Nearly all bodies are smaller.
const SLICE_BYTES: usize = 32 << 10;

/// The rest of a body.
#[derive(Debug)]
pub(crate) struct SlicedBody(Bytes);

impl From<Full<Bytes>> for SlicedBody {
    fn from(body: Full<Bytes>) -> Self {
        Self(body.into_inner().unwrap_or_default())
    }
}

impl Body for SlicedBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.0.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.0.len().min(SLICE_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.0.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(u64::try_from(self.0.len()).unwrap_or(u64::MAX))
    }
}
