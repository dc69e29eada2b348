use std::sync::Arc;

use althing_engine::{Refusal, RefusalKind};
use althing_tunnel::{Doors, HttpOrigin, Pin};

use super::{Shared, Source, refuse};
use crate::site::{self, Found};

impl Shared {
    /// An agent over HTTP: its card is found, and its interfaces at that place are its doors.
    pub(super) async fn http_source(&self, url: &str) -> Result<Source, Refusal> {
        let Found { card, target, site, card_url } = site::find(url, &self.tls, |_| {}).await?;
        let mut notes = Vec::new();
        let is_there = |interface: &url::Url| site::is_at(interface, &site);
        for interface in card.interfaces() {
            match interface.http_url() {
                Some(url) if !is_there(&url) => {
                    notes.push(format!("{} is not at {} and is not exposed", interface.url, site.base))
                }
                None => {
                    notes.push(format!("{} ({}) is not carried", interface.url, interface.binding.name()))
                }
                Some(_) => {}
            }
        }
        let doors = Doors::of(&card, is_there);
        if doors.is_empty() {
            let urls: Vec<_> = card.interfaces().iter().map(|interface| interface.url.as_str()).collect();
            let cause =
                format!("the card at {card_url} has no interface at {}: {}", site.base, urls.join(", "));
            return Err(refuse(RefusalKind::Invalid, cause, Some("expose the address that its card names")));
        }
        let pin = Pin { target, sha256: card.digest() };
        let origin = HttpOrigin::new(site.clone(), self.tls.clone(), Some(pin.clone()));
        let origin = origin.telling(Arc::clone(&self.trouble));
        Ok(Source {
            card,
            doors,
            origin: Arc::new(origin.clone()),
            http: Some((origin, pin)),
            shown: site.base,
            card_url: Some(card_url),
            notes,
        })
    }
}
