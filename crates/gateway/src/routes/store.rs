//! The store: records in and out, the files of the database, compaction.

use althing_engine::{Answer, Ask, IMPORT_MAX, Taken};
use althing_record::{Kind, Record, Verdict, VerifyError};
use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, Request, State};
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};

use crate::api::{
    Checkpoint, CheckpointQuery, Compaction, Imported, ImportedRecord, Problem, ProblemKind, RecordsQuery,
    Released,
};
use crate::edge::{Edge, mismatch};
use crate::refused::Refused;
use crate::{body, query, record_list};

/// Most bytes of a checkpoint's file in one answer.
const PIECE_BYTES_MAX: usize = 4 * 1024 * 1024;

fn invalid(detail: String) -> Refused {
    Problem::new(ProblemKind::Invalid, detail).into()
}

/// A page of the live records
///
/// A CBOR array of two: where the next page begins (no bytes: this is the last), and an array of the records' carried
/// bytes. Identities, cards and leases come first, then proposals and ballots, each by the time when they were made.
#[utoipa::path(
    get,
    path = "/v1/store/records",
    tag = "store",
    params(RecordsQuery),
    responses((status = 200, description = "The page.", body = Vec<u8>, content_type = "application/cbor"))
)]
pub(super) async fn records(
    State(edge): State<Edge>,
    query: Result<Query<RecordsQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let RecordsQuery { from, kind } = query::read(query)?;
    let from = hex::decode(from.unwrap_or_default()).map_err(|error| invalid(format!("from: {error}")))?;
    let kind = kind.map(|name| named_kind(&name)).transpose()?;
    let page = edge.desk(move |desk| desk.records(kind, &from)).await?;
    let records: Vec<_> = page.records.iter().map(Record::bytes).collect();
    let bytes = record_list::encode_page(page.next.as_deref(), &records);
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/cbor"))], bytes).into_response())
}

fn named_kind(name: &str) -> Result<Kind, Refused> {
    let found = Kind::ALL.iter().copied().find(|kind| kind.name().eq_ignore_ascii_case(name));
    found.ok_or_else(|| {
        let names: Vec<_> = Kind::ALL.iter().map(|kind| kind.name()).collect();
        invalid(format!("kind: expected one of {}, found \"{name}\"", names.join(", ")))
    })
}

/// Take records in as if a peer had sent them
///
/// The body is a CBOR array of at most 128 records' carried bytes. Returns once what is new is durable.
#[utoipa::path(
    post,
    path = "/v1/store/records",
    tag = "store",
    request_body(content = Vec<u8>, content_type = "application/cbor"),
    responses((status = 200, description = "What became of each record.", body = Imported))
)]
pub(super) async fn import(State(edge): State<Edge>, request: Request) -> Result<Json<Imported>, Refused> {
    let bytes = body::cbor(&edge, request).await?;
    let all = record_list::decode(&bytes, IMPORT_MAX)
        .map_err(|error| invalid(format!("the CBOR body is not as expected: {error}")))?;
    let verified: Vec<Result<Record, VerifyError>> =
        edge.desk(move |desk| Ok(all.iter().map(|bytes| desk.verify(bytes)).collect())).await?;
    let records: Vec<Record> = verified.iter().filter_map(|record| record.as_ref().ok()).cloned().collect();
    let Answer::Imported(taken) = edge.ask(Ask::Import { records }).await? else { return Err(mismatch()) };
    let mut taken = taken.into_iter();
    let mut outcomes = Vec::with_capacity(verified.len());
    for record in verified {
        let (kind, taken) = match record {
            Ok(record) => (Some(record.kind().name().to_owned()), taken.next().ok_or_else(mismatch)?),
            Err(error) if error.verdict() == Verdict::Reject => (None, Taken::Wrong(error.to_string())),
            Err(error) => (None, Taken::Unwanted(error.to_string())),
        };
        outcomes.push(ImportedRecord::new(kind, taken));
    }
    Ok(Json(Imported::new(outcomes)))
}

/// Hold the files of the database as they are now
#[utoipa::path(
    post,
    path = "/v1/store/checkpoint",
    tag = "store",
    responses((status = 200, description = "The files.", body = Checkpoint))
)]
pub(super) async fn checkpoint(State(edge): State<Edge>) -> Result<Json<Checkpoint>, Refused> {
    edge.desk(|desk| desk.checkpoint()).await.map(Json)
}

/// A piece of a file of the checkpoint
///
/// At most 4 MiB from the offset on; no bytes at the end of the file.
#[utoipa::path(
    get,
    path = "/v1/store/checkpoint",
    tag = "store",
    params(CheckpointQuery),
    responses((status = 200, description = "The piece.", body = Vec<u8>, content_type = "application/octet-stream"))
)]
pub(super) async fn piece(
    State(edge): State<Edge>,
    query: Result<Query<CheckpointQuery>, QueryRejection>,
) -> Result<Response, Refused> {
    let CheckpointQuery { file, offset } = query::read(query)?;
    let offset = offset.unwrap_or_default();
    let bytes = edge.desk(move |desk| desk.read_checkpoint(&file, offset, PIECE_BYTES_MAX)).await?;
    Ok(([(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"))], bytes).into_response())
}

/// Let the checkpoint go
#[utoipa::path(
    post,
    path = "/v1/store/checkpoint/release",
    tag = "store",
    responses((status = 200, description = "It is gone.", body = Released))
)]
pub(super) async fn release(State(edge): State<Edge>) -> Result<Json<Released>, Refused> {
    edge.desk(|desk| desk.release_checkpoint()).await?;
    Ok(Json(Released::default()))
}

/// Compact the store
///
/// Returns at once; `GET` says how it is going. While one is under way, that one is meant.
#[utoipa::path(
    post,
    path = "/v1/store/compact",
    tag = "store",
    responses((status = 202, description = "It is under way.", body = Compaction))
)]
pub(super) async fn compact(State(edge): State<Edge>) -> Result<(StatusCode, Json<Compaction>), Refused> {
    let compaction = edge.desk(|desk| desk.compact()).await?;
    Ok((StatusCode::ACCEPTED, Json(compaction)))
}

/// How the last compaction is going
#[utoipa::path(
    get,
    path = "/v1/store/compact",
    tag = "store",
    responses((status = 200, description = "The compaction.", body = Compaction))
)]
pub(super) async fn compaction(State(edge): State<Edge>) -> Result<Json<Compaction>, Refused> {
    edge.desk(|desk| desk.compaction()).await.map(Json)
}
