//! Where an agent would send push notifications: nowhere but into the public network. An agent takes such a URL from whoever
//! calls it and posts there with its own rights, so a stranger could have it reach what only its machine can.

mod search;

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use althing_a2a::{AddressError, RemoteUrl, UrlError};
use bytes::{Bytes, BytesMut};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;
use url::Host;

use self::search::{Unclear, urls_in};
use crate::operation::Operation;
use crate::serve::Failure;
use crate::{Body, Limits};

/// How long a body that has to be read may take.
const BODY_WITHIN: Duration = Duration::from_secs(60);

/// What of each body is not counted against that of all: so a few long ones never keep the short ones out.
const UNCOUNTED_BYTES: usize = 16 * 1_024;

/// The unit in which bodies are counted.
const UNIT_BYTES: usize = 1_024;

/// How long resolving a name may take, and how many are resolved at once.
const NAME_WITHIN: Duration = Duration::from_secs(2);
const NAMES_MAX: usize = 16;

/// How often a name is resolved, to notice one that alternates.
const LOOKS: usize = 2;

/// Finds the addresses of a host and a port.
type Resolver = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// Reads what could set a push notification, and lets through what leads into the public network.
#[derive(Clone)]
pub(crate) struct Webhooks {
    resolver: Resolver,
    names: Arc<Semaphore>,
    bodies: Arc<Semaphore>,
    bytes_max: usize,
}

/// Why a URL is not one for push notifications.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NoWebhook {
    #[error("the push notification's {0}")]
    Url(#[from] UrlError),
    #[error("the push notification's URL is not plain ASCII, or escapes something in its host")]
    Spelling,
    #[error("the push notification's host {host} leads to {error}")]
    Address { host: String, error: AddressError },
    #[error("the push notification's host {host} has no address: {cause}")]
    Nowhere { host: String, cause: String },
    #[error("{NAMES_MAX} names are being resolved already")]
    Busy,
}

impl From<NoWebhook> for Failure {
    fn from(error: NoWebhook) -> Self {
        match error {
            NoWebhook::Busy => Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", error.to_string()),
            NoWebhook::Url(_)
            | NoWebhook::Spelling
            | NoWebhook::Address { .. }
            | NoWebhook::Nowhere { .. } => Self::new(StatusCode::BAD_REQUEST, "push-url", error.to_string()),
        }
    }
}

impl From<Unclear> for Failure {
    fn from(error: Unclear) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", error.to_string())
    }
}

/// Bytes that are counted until nobody has them any more.
struct Counted {
    bytes: Bytes,
    _permits: Vec<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Webhooks {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self::resolving_by(limits, Arc::new(resolve))
    }

    fn resolving_by(limits: &Limits, resolver: Resolver) -> Self {
        Self {
            resolver,
            names: Arc::new(Semaphore::new(NAMES_MAX)),
            bodies: Arc::new(Semaphore::new(limits.read_bytes_all_max / UNIT_BYTES)),
            bytes_max: limits.read_bytes_max,
        }
    }

    /// The whole body of a request, if it may be passed on.
    ///
    /// # Errors
    /// When it is too long, cannot be read for certain, or has a push notification sent elsewhere than into the public
    /// network.
    pub(crate) async fn admit(
        &self,
        operation: Operation,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Bytes, Failure> {
        plain(headers)?;
        let read = timeout(BODY_WITHIN, self.read(body)).await;
        let bytes = read.unwrap_or_else(|_| {
            let cause = format!("the request did not come within {} s", BODY_WITHIN.as_secs());
            Err(Failure::new(StatusCode::REQUEST_TIMEOUT, "malformed", cause))
        })?;
        for url in urls_in(operation, &bytes)? {
            self.admit_url(&url).await?;
        }
        Ok(bytes)
    }

    async fn read(&self, mut body: Body) -> Result<Bytes, Failure> {
        let (mut read, mut permits, mut counted) = (BytesMut::new(), Vec::new(), UNCOUNTED_BYTES);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                let cause = format!("the request did not arrive whole: {error}");
                Failure::new(StatusCode::BAD_REQUEST, "malformed", cause)
            })?;
            let part = frame.data_ref().map_or(&[][..], |part| part);
            let length = read.len() + part.len();
            if length > self.bytes_max {
                let cause = format!("the request's body has more than {} bytes", self.bytes_max);
                return Err(Failure::new(StatusCode::PAYLOAD_TOO_LARGE, "too-large", cause));
            }
            if length > counted {
                // In steps as long as what is there already: few permits, and at most twice what is needed.
                let units =
                    length.max(2 * counted).min(self.bytes_max).saturating_sub(counted).div_ceil(UNIT_BYTES);
                let permit = u32::try_from(units)
                    .ok()
                    .and_then(|units| Arc::clone(&self.bodies).try_acquire_many_owned(units).ok());
                permits.push(permit.ok_or_else(|| {
                    let cause = "too many long requests are being read";
                    Failure::new(StatusCode::SERVICE_UNAVAILABLE, "busy", cause)
                })?);
                counted += units * UNIT_BYTES;
            }
            read.extend_from_slice(part);
        }
        let bytes = read.freeze();
        Ok(if permits.is_empty() { bytes } else { Bytes::from_owner(Counted { bytes, _permits: permits }) })
    }

    async fn admit_url(&self, text: &str) -> Result<(), NoWebhook> {
        let url = RemoteUrl::parse(text)?;
        // Readers of URLs differ in what they make of these.
        let authority = text.split("://").nth(1).and_then(|rest| rest.split(['/', '?', '#']).next());
        if !text.bytes().all(|byte| byte.is_ascii_graphic())
            || authority.is_none_or(|host| host.contains('%'))
        {
            return Err(NoWebhook::Spelling);
        }
        let url = url.url();
        if let (Some(Host::Domain(name)), Some(port)) = (url.host(), url.port_or_known_default()) {
            for _ in 0..LOOKS {
                self.admit_name(name, port).await?;
            }
        }
        Ok(())
    }

    /// Every address that a name has now must be public.
    async fn admit_name(&self, name: &str, port: u16) -> Result<(), NoWebhook> {
        let host: String = name.chars().take(80).collect();
        let permit = Arc::clone(&self.names).try_acquire_owned().map_err(|_| NoWebhook::Busy)?;
        let resolving = (self.resolver)(name.to_owned(), port);
        // The system's resolver cannot be interrupted: its place is taken until it has ended.
        let resolving = tokio::spawn(async move {
            let _permit = permit;
            resolving.await
        });
        let nowhere = |cause: String| NoWebhook::Nowhere { host: host.clone(), cause };
        let found = match timeout(NAME_WITHIN, resolving).await {
            Ok(Ok(found)) => found.map_err(|error| nowhere(error.to_string()))?,
            Ok(Err(error)) => return Err(nowhere(error.to_string())),
            Err(_) => return Err(nowhere(format!("no answer within {} s", NAME_WITHIN.as_secs()))),
        };
        if found.is_empty() {
            return Err(nowhere("there is none".to_owned()));
        }
        let refused = found.into_iter().find_map(|address| RemoteUrl::admits(address).err());
        refused.map_or(Ok(()), |error| Err(NoWebhook::Address { host, error }))
    }
}

/// What is compressed, or in another encoding than JSON's, cannot be looked at here as the agent does.
fn plain(headers: &HeaderMap) -> Result<(), Failure> {
    let refused = |cause: &str| Err(Failure::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "malformed", cause));
    let mut encodings = headers.get_all(CONTENT_ENCODING).iter();
    if !encodings.all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity")) {
        return refused("this request must not be compressed");
    }
    for kind in headers.get_all(CONTENT_TYPE) {
        let kind = String::from_utf8_lossy(kind.as_bytes()).to_ascii_lowercase();
        for charset in kind.split("charset").skip(1) {
            let charset = charset.trim_start_matches([' ', '=', '*', '"', '\'']);
            if !charset.starts_with("utf-8") && !charset.starts_with("us-ascii") {
                return refused("this request must be UTF-8");
            }
        }
    }
    Ok(())
}

fn resolve(name: String, port: u16) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> {
    async move { Ok(tokio::net::lookup_host((name, port)).await?.map(|address| address.ip()).collect()) }
        .boxed()
}

#[cfg(test)]
mod tests;
