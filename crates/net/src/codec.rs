use std::io;

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::StreamProtocol;
use libp2p::request_response;

use crate::counters::{Counters, Direction};
use crate::names::Names;
use crate::{Limits, RequestForms};

/// Bytes behind their length, a big-endian u32. A length over the limit is refused before anything is allocated.
#[derive(Clone, Debug)]
pub(crate) struct Codec {
    request_max: usize,
    response_max: usize,
    newest: Option<StreamProtocol>,
    counters: Counters,
}

impl Codec {
    pub(crate) fn new(limits: &Limits, names: &Names, counters: Counters) -> Self {
        Self {
            request_max: limits.request_bytes_max,
            response_max: limits.response_bytes_max,
            newest: names.engine.first().cloned(),
            counters,
        }
    }
}

impl request_response::Codec for Codec {
    type Protocol = StreamProtocol;
    type Request = RequestForms;
    type Response = Vec<u8>;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<RequestForms>
    where
        T: AsyncRead + Unpin + Send,
    {
        let request = read(io, self.request_max).await;
        // libp2p does not report requests that it could not read.
        if request.is_err() {
            self.counters.request(Direction::Inbound, "unreadable");
        }
        // What it says does not depend on the version: each has tags of its own.
        request.map(|newest| RequestForms { newest, before: None })
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Vec<u8>>
    where
        T: AsyncRead + Unpin + Send,
    {
        read(io, self.response_max).await
    }

    async fn write_request<T>(
        &mut self,
        version: &StreamProtocol,
        io: &mut T,
        forms: RequestForms,
    ) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let is_newest = self.newest.as_ref() == Some(version);
        let form = if is_newest { Some(forms.newest) } else { forms.before };
        // The kind tells the request desk why.
        let form = form.ok_or(io::ErrorKind::Unsupported)?;
        write(io, &form, self.request_max).await
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, bytes: Vec<u8>) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        write(io, &bytes, self.response_max).await
    }
}

/// What is allocated at once; the rest follows as bytes arrive, so a bare length costs nothing.
const FIRST_ALLOCATION: usize = 16 << 10;

async fn read<T: AsyncRead + Unpin + Send>(io: &mut T, max: usize) -> io::Result<Vec<u8>> {
    let mut length = [0; 4];
    io.read_exact(&mut length).await?;
    let length = u32::from_be_bytes(length);
    let size = usize::try_from(length).unwrap_or(usize::MAX);
    if size > max {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("expected at most {max} bytes, found {length}"),
        ));
    }
    let mut bytes = Vec::with_capacity(size.min(FIRST_ALLOCATION));
    io.take(u64::from(length)).read_to_end(&mut bytes).await?;
    if bytes.len() == size { Ok(bytes) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

async fn write<T: AsyncWrite + Unpin + Send>(io: &mut T, bytes: &[u8], max: usize) -> io::Result<()> {
    let length = u32::try_from(bytes.len()).ok().filter(|_| bytes.len() <= max).ok_or_else(|| {
        let text = format!("expected at most {max} bytes, found {}", bytes.len());
        io::Error::new(io::ErrorKind::InvalidInput, text)
    })?;
    io.write_all(&length.to_be_bytes()).await?;
    io.write_all(bytes).await
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::io::Cursor;

    use super::*;

    #[test]
    fn bytes_round_trip_up_to_the_limit() {
        for size in [0, 1, 20_000] {
            let mut wire = Cursor::new(Vec::new());
            block_on(write(&mut wire, &vec![7; size], size)).expect("within the limit");
            let mut wire = Cursor::new(wire.into_inner());
            assert_eq!(block_on(read(&mut wire, size)).expect("the same bytes"), vec![7; size]);
        }
    }

    #[test]
    fn larger_is_refused_on_both_sides() {
        let error =
            block_on(write(&mut Cursor::new(Vec::new()), &[0; 9], 8)).expect_err("nine of eight bytes");
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        // Only the length is there: a reader that waited for the bytes would report the end of the stream instead.
        let mut wire = Cursor::new(u32::MAX.to_be_bytes());
        let error = block_on(read(&mut wire, 8)).expect_err("four gibibytes of eight bytes");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn truncated_bytes_are_not_a_message() {
        let mut wire = Cursor::new([0, 0, 0, 9, 1, 2, 3]);
        assert_eq!(
            block_on(read(&mut wire, 16)).expect_err("six missing").kind(),
            io::ErrorKind::UnexpectedEof
        );
    }
}
