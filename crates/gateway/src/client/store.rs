//! The store's part of the client.

use http::Method;

use super::{Client, ClientError, Upload, document, done, with_query};
use crate::api::{Checkpoint, Compaction, Imported, Released};
use crate::record_list::{self, RecordBytes};

impl Client {
    /// A page of the live records' carried bytes, and where the next one begins: `GET /v1/store/records`.
    ///
    /// # Errors
    /// See [`ClientError`]; so for every method.
    pub async fn records(&self, kind: Option<&str>, from: &[u8]) -> Result<RecordBytes, ClientError> {
        let from = (!from.is_empty()).then(|| hex::encode(from));
        let target = with_query("/v1/store/records", &[("from", from), ("kind", kind.map(str::to_owned))]);
        let bytes = self.bytes(target, "application/cbor").await?;
        record_list::decode_page(&bytes)
            .map_err(|error| ClientError::Protocol(format!("a page of records: {error}")))
    }

    /// Has records taken in, at most 128 of at most 1 MiB together: `POST /v1/store/records`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn import<B: AsRef<[u8]>>(&self, records: &[B]) -> Result<Imported, ClientError> {
        let body = Upload { content_type: "application/cbor", bytes: record_list::encode(records) };
        document(done(self.call(Method::POST, "/v1/store/records".to_owned(), Some(body)).await?)?)
    }

    /// Has the files of the database held: `POST /v1/store/checkpoint`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn checkpoint(&self) -> Result<Checkpoint, ClientError> {
        document(done(self.call(Method::POST, "/v1/store/checkpoint".to_owned(), None).await?)?)
    }

    /// Bytes of a held file from an offset on; none at its end: `GET /v1/store/checkpoint`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn checkpoint_piece(&self, file: &str, offset: u64) -> Result<Vec<u8>, ClientError> {
        let pairs = [("file", Some(file.to_owned())), ("offset", Some(offset.to_string()))];
        self.bytes(with_query("/v1/store/checkpoint", &pairs), "application/octet-stream").await
    }

    /// Lets the held files go: `POST /v1/store/checkpoint/release`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn release_checkpoint(&self) -> Result<Released, ClientError> {
        document(done(self.call(Method::POST, "/v1/store/checkpoint/release".to_owned(), None).await?)?)
    }

    /// Begins a compaction: `POST /v1/store/compact`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn compact(&self) -> Result<Compaction, ClientError> {
        document(done(self.call(Method::POST, "/v1/store/compact".to_owned(), None).await?)?)
    }

    /// How the compaction is going: `GET /v1/store/compact`.
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn compaction(&self) -> Result<Compaction, ClientError> {
        self.fetch("/v1/store/compact".to_owned()).await
    }

    async fn bytes(&self, target: String, expected: &str) -> Result<Vec<u8>, ClientError> {
        let reply = done(self.call(Method::GET, target, None).await?)?;
        if reply.content_type == expected {
            return Ok(reply.body);
        }
        Err(ClientError::Protocol(format!("expected {expected}, found \"{}\"", reply.content_type)))
    }
}
