use hyper::body::Bytes;

/// One event of a stream of server-sent events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SseEvent {
    /// What the field `event` says; empty if it is not there.
    pub kind: String,
    /// The lines of `data`, joined by line feeds.
    pub data: String,
}

/// A line or an event is longer than it may be, or not UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SseError {
    /// A line, or the data of an event, is too long.
    #[error("expected events of at most {max} bytes")]
    TooLong {
        /// The most.
        max: usize,
    },
    /// The stream is not UTF-8.
    #[error("the event stream is not UTF-8")]
    NotUtf8,
}

/// Takes a stream of server-sent events apart as the HTML standard says (section 9.2), whatever pieces it comes in.
///
/// It holds at most one event and the piece that arrived last. What is not ended by an empty line is no event.
#[derive(Debug)]
pub struct SseReader {
    /// Most bytes of one line, and of the data of one event.
    bytes_max: usize,
    /// What has arrived and is not read: the bytes of a line that is not at its end are in `line`.
    arrived: Bytes,
    line: Vec<u8>,
    /// The last line ended in a carriage return, so a line feed that follows belongs to it.
    after_return: bool,
    /// Nothing was read yet, so a byte order mark may come.
    at_start: bool,
    kind: String,
    data: Option<String>,
    id: Option<String>,
    last_id: Option<String>,
}

impl SseReader {
    /// One that takes lines, and data of events, of at most so many bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            arrived: Bytes::new(),
            line: Vec::new(),
            after_return: false,
            at_start: true,
            kind: String::new(),
            data: None,
            id: None,
            last_id: None,
        }
    }

    /// Takes what arrived next; everything before it must have been read.
    pub fn push(&mut self, bytes: Bytes) {
        debug_assert!(self.arrived.is_empty(), "what arrived before was read");
        self.arrived = bytes;
    }

    /// The next event of what has arrived.
    ///
    /// # Errors
    /// When what has arrived is no stream of events; nothing is to be read after that.
    pub fn read(&mut self) -> Result<Option<SseEvent>, SseError> {
        while let Some(line) = self.line()? {
            if let Some(event) = self.take(&line)? {
                return Ok(Some(event));
            }
        }
        Ok(None)
    }

    /// The id of the last event that came to its end with one.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// The next whole line of what has arrived, without its end: a line feed, a carriage return, or both.
    fn line(&mut self) -> Result<Option<String>, SseError> {
        if self.after_return && !self.arrived.is_empty() {
            self.after_return = false;
            if self.arrived[0] == b'\n' {
                let _ = self.arrived.split_to(1);
            }
        }
        let end = self.arrived.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        let part = self.arrived.split_to(end.unwrap_or(self.arrived.len()));
        if self.line.len() + part.len() > self.bytes_max {
            return Err(SseError::TooLong { max: self.bytes_max });
        }
        self.line.extend_from_slice(&part);
        if end.is_none() {
            return Ok(None);
        }
        self.after_return = self.arrived.split_to(1)[0] == b'\r';
        let line = String::from_utf8(std::mem::take(&mut self.line)).map_err(|_| SseError::NotUtf8)?;
        let is_first = std::mem::take(&mut self.at_start);
        Ok(Some(match line.strip_prefix('\u{feff}') {
            Some(rest) if is_first => rest.to_owned(),
            _ => line,
        }))
    }

    /// Takes one line; an empty one ends an event.
    fn take(&mut self, line: &str) -> Result<Option<SseEvent>, SseError> {
        if line.is_empty() {
            if let Some(id) = self.id.take() {
                self.last_id = Some(id);
            }
            let (kind, data) = (std::mem::take(&mut self.kind), self.data.take());
            return Ok(data.map(|data| SseEvent { kind, data }));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.kind),
            "data" => {
                let data = match self.data.take() {
                    None => value.to_owned(),
                    Some(before) if before.len() + 1 + value.len() > self.bytes_max => {
                        return Err(SseError::TooLong { max: self.bytes_max });
                    }
                    Some(before) => before + "\n" + value,
                };
                self.data = Some(data);
            }
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = "\u{feff}: a comment\n\ndata: one\nid: 1\n\nevent: error\r\ndata:two\r\ndata: \r\ndata:  é\r\n\r\n\
                          id: 2\rdata\r\rretry: 5\nid: 3\n\ndata: not ended\n";

    fn event(kind: &str, data: &str) -> SseEvent {
        SseEvent { kind: kind.to_owned(), data: data.to_owned() }
    }

    fn read(reader: &mut SseReader, piece: &[u8]) -> Result<Vec<SseEvent>, SseError> {
        reader.push(Bytes::copy_from_slice(piece));
        let mut events = Vec::new();
        while let Some(event) = reader.read()? {
            events.push(event);
        }
        Ok(events)
    }

    fn expected() -> Vec<SseEvent> {
        vec![event("", "one"), event("error", "two\n\n é"), event("", "")]
    }

    #[test]
    fn events_are_the_same_wherever_the_stream_is_split() {
        for at in 0..=STREAM.len() {
            let mut reader = SseReader::new(64);
            let (before, after) = STREAM.as_bytes().split_at(at);
            let mut events = read(&mut reader, before).unwrap();
            events.extend(read(&mut reader, after).unwrap());
            assert_eq!((events, reader.last_id()), (expected(), Some("3")), "split at {at}");
        }
        let mut reader = SseReader::new(64);
        let events = STREAM.bytes().flat_map(|byte| read(&mut reader, &[byte]).unwrap());
        assert_eq!(events.collect::<Vec<_>>(), expected());
    }

    #[test]
    fn lines_and_events_have_a_bound() {
        let too_long = Err(SseError::TooLong { max: 16 });
        assert_eq!(read(&mut SseReader::new(16), b"data: 0123456789\n\n"), Ok(vec![event("", "0123456789")]));
        assert_eq!(read(&mut SseReader::new(16), b"data: 0123456789a"), too_long);
        assert_eq!(read(&mut SseReader::new(16), b"data: 01234567\ndata: 01234567\n"), too_long);
    }

    #[test]
    fn what_is_not_utf_8_is_refused() {
        assert_eq!(read(&mut SseReader::new(16), b"data: \xff\n"), Err(SseError::NotUtf8));
    }
}
