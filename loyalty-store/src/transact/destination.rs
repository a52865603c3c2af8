//! Decisions about destinations, shared by all stores: what a shop changes, and what the sender
//! notes.

use chrono::{SubsecRound, TimeDelta};
use loyalty_core::{ShopId, Timestamp};

use crate::administration::{
    AdminChange, AdminDecision, AdminOutcome, DecisionError, DestinationAction, end_after,
};
use crate::destination::{
    DEAD_DAYS, Delivery, DeliveryNote, DeliveryState, Destination, DestinationChange,
    DestinationId, DestinationKind, DestinationProgress, DestinationSecret, DestinationSettings,
    DestinationState, DestinationUpdate, DisableReason, EventPosition, MAX_DEAD,
    MAX_WEBHOOK_ENDPOINTS, Recovery,
};
use crate::error::{Failure, Rejection};
use crate::outbox::outgoing_events;
use crate::record::{JournalRow, Seq};
use crate::seal::SecretText;

/// What these decisions read, as it is stored.
pub(crate) trait DestinationView {
    /// Returns the destinations of a shop in the order of their creation.
    fn destinations(&self, shop: ShopId) -> Result<Vec<Destination>, Failure>;
    fn destination(&self, id: DestinationId) -> Result<Option<Destination>, Failure>;
    fn progress(&self, id: DestinationId) -> Result<Option<DestinationProgress>, Failure>;
    /// Returns the number for a new destination, which none has had.
    fn next_destination(&self) -> Result<DestinationId, Failure>;
    /// Returns the position of the last committed row.
    fn last_position(&self) -> Result<Seq, Failure>;
    fn journal_row(&self, seq: Seq) -> Result<Option<JournalRow>, Failure>;
}

/// Decides what a shop asks for.
pub(crate) fn decide(
    view: &impl DestinationView,
    shop: ShopId,
    now: Timestamp,
    action: DestinationAction,
) -> AdminDecision {
    match action {
        DestinationAction::Create { kind, settings, secret, is_enabled } => {
            let state = state_after(DestinationState::Enabled, is_enabled, now);
            create(view, (shop, now), kind, settings, (secret, state))
        }
        DestinationAction::Update { id, kind, update } => {
            update_destination(view, find(view, shop, id, &kind)?, now, update)
        }
        DestinationAction::Delete { id, kind } => {
            find(view, shop, id, &kind)?;
            let change = AdminChange::Destination(DestinationChange::Delete(id));
            Ok((vec![change], AdminOutcome::Deleted))
        }
        DestinationAction::RotateSecret { id, kind, secret, grace } => {
            let before = find(view, shop, id, &kind)?;
            let end = end_after(now, grace);
            let newest = before.secrets.first().cloned();
            let ended = newest.filter(|secret| secret.expires_at.is_none_or(|end| now < end));
            let ended = ended.map(|secret| {
                let end = secret.expires_at.map_or(end, |before| before.min(end));
                DestinationSecret { expires_at: Some(end), ..secret }
            });
            let mut secrets = vec![DestinationSecret { secret, created_at: now, expires_at: None }];
            secrets.extend(ended);
            Ok(put(Vec::new(), Destination { secrets, updated_at: now, ..before }))
        }
        DestinationAction::Resend { id, kind, event } => {
            resend(view, (shop, now), id, &kind, event)
        }
        DestinationAction::Recover { id, kind, since } => {
            let destination = find(view, shop, id, &kind)?;
            let mut progress = view.progress(id)?.unwrap_or_default();
            progress.recoveries = progress.recoveries.saturating_add(1);
            progress.recovery = Some(Recovery {
                number: progress.recoveries,
                since,
                after: first_since(view, since)?.saturating_sub(1),
                until: progress.cursor,
            });
            let change = DestinationChange::PutProgress(id, progress);
            let outcome = AdminOutcome::Destination(Box::new(destination));
            Ok((vec![AdminChange::Destination(change)], outcome))
        }
    }
}

fn create(
    view: &impl DestinationView,
    (shop, now): (ShopId, Timestamp),
    kind: DestinationKind,
    settings: DestinationSettings,
    (secret, state): (SecretText, DestinationState),
) -> AdminDecision {
    let known = view.destinations(shop)?;
    let endpoints = known
        .iter()
        .filter(|known| known.kind == DestinationKind::WebhookEndpoint);
    if kind == DestinationKind::WebhookEndpoint && endpoints.count() >= MAX_WEBHOOK_ENDPOINTS {
        return Err(Rejection::TooManyWebhookEndpoints { limit: MAX_WEBHOOK_ENDPOINTS }.into());
    }
    if kind != DestinationKind::WebhookEndpoint && known.iter().any(|known| known.kind == kind) {
        return Err(Rejection::StoreConnected.into());
    }

    let id = view.next_destination()?;
    let created = Destination {
        id,
        shop,
        kind,
        settings,
        state,
        secrets: vec![DestinationSecret { secret, created_at: now, expires_at: None }],
        created_at: now,
        updated_at: now,
    };
    // What has happened before is not sent without being asked for.
    let progress = DestinationProgress {
        cursor: view.last_position()?,
        ..DestinationProgress::default()
    };
    Ok(put(vec![DestinationChange::PutProgress(id, progress)], created))
}

fn update_destination(
    view: &impl DestinationView,
    before: Destination,
    now: Timestamp,
    update: DestinationUpdate,
) -> AdminDecision {
    let DestinationUpdate { url, description, events, details, is_enabled, secret } = update;
    let mut after = before.clone();
    let settings = &mut after.settings;
    settings.url = url.unwrap_or_else(|| settings.url.clone());
    settings.description = description.unwrap_or_else(|| settings.description.clone());
    settings.events = events.unwrap_or_else(|| settings.events.clone());
    settings.details = details.or_else(|| settings.details.clone());
    if let Some(secret) = secret.filter(|secret| is_other(&before.secrets, secret)) {
        after.secrets = vec![DestinationSecret { secret, created_at: now, expires_at: None }];
    }
    if let Some(is_enabled) = is_enabled {
        after.state = state_after(before.state, is_enabled, now);
    }
    if after == before {
        return Ok((Vec::new(), AdminOutcome::Destination(Box::new(before))));
    }

    let mut changes = Vec::new();
    if after.is_enabled() && !before.is_enabled() {
        // Five days begin anew.
        let progress = view.progress(before.id)?.unwrap_or_default();
        let progress = DestinationProgress { failing_since: None, ..progress };
        changes.push(DestinationChange::PutProgress(before.id, progress));
    }
    Ok(put(changes, Destination { updated_at: now, ..after }))
}

/// True if a secret is not the newest one.
fn is_other(secrets: &[DestinationSecret], secret: &SecretText) -> bool {
    secrets.first().is_none_or(|newest| newest.secret != *secret)
}

/// Has an event delivered again: one that was given up or waits, or any other one of the shop.
fn resend(
    view: &impl DestinationView,
    (shop, now): (ShopId, Timestamp),
    id: DestinationId,
    kind: &DestinationKind,
    event: EventPosition,
) -> AdminDecision {
    let destination = find(view, shop, id, kind)?;
    let row = view.journal_row(event.seq)?.filter(|row| row.shop == shop);
    let found = row.and_then(|row| {
        let mut events = outgoing_events(&row).map(|event| event.index);
        events.any(|index| index == event.index).then_some(row.account)
    });
    let account = found.ok_or(Rejection::DeliveryNotFound)?;

    let delivery = Delivery {
        destination: id,
        event,
        account,
        state: DeliveryState::Waiting { due_at: now },
        attempts: 0,
        last: None,
    };
    let change = AdminChange::Destination(DestinationChange::PutDelivery(delivery));
    Ok((vec![change], AdminOutcome::Destination(Box::new(destination))))
}

fn find(
    view: &impl DestinationView,
    shop: ShopId,
    id: DestinationId,
    kind: &DestinationKind,
) -> Result<Destination, DecisionError> {
    let found = view.destination(id)?;
    let found = found.filter(|found| found.shop == shop && found.kind == *kind);
    let missing = match kind {
        DestinationKind::WebhookEndpoint => Rejection::WebhookEndpointNotFound,
        DestinationKind::Store(_) => Rejection::StoreNotFound,
    };
    found.ok_or_else(|| missing.into())
}

fn put(
    mut changes: Vec<DestinationChange>,
    destination: Destination,
) -> (Vec<AdminChange>, AdminOutcome) {
    let destination = Box::new(destination);
    changes.push(DestinationChange::Put(destination.clone()));
    let changes = changes.into_iter().map(AdminChange::Destination).collect();
    (changes, AdminOutcome::Destination(destination))
}

fn state_after(before: DestinationState, enabled: bool, now: Timestamp) -> DestinationState {
    let reason = DisableReason::Requested;
    match before {
        _ if enabled => DestinationState::Enabled,
        DestinationState::Enabled => DestinationState::Disabled { reason, at: now },
        DestinationState::Disabled { .. } => before,
    }
}

/// Returns the first position whose row is not before an instant, or is within an hour before
/// it. The clock of a server may have gone back a little, so rows are compared again later.
fn first_since(view: &impl DestinationView, since: Timestamp) -> Result<Seq, Failure> {
    let since = since.checked_sub_signed(TimeDelta::hours(1)).unwrap_or(since);
    let (mut low, mut high) = (1, view.last_position()?.saturating_add(1));
    while low < high {
        let middle = low.midpoint(high);
        let is_before = view.journal_row(middle)?.is_some_and(|row| row.at < since);
        if is_before {
            low = middle.saturating_add(1);
        } else {
            high = middle;
        }
    }
    Ok(low)
}

/// Decides what a note changes. A destination that was deleted is passed over, and what was
/// changed since the sender has read it stays.
pub(crate) fn note(
    view: &impl DestinationView,
    note: &DeliveryNote,
) -> Result<Vec<DestinationChange>, Failure> {
    let (id, now) = (note.destination, note.now.trunc_subsecs(6));
    let Some(before) = view.progress(id)? else { return Ok(Vec::new()) };
    let (mut changes, mut progress) = (Vec::new(), before.clone());
    progress.cursor = before.cursor.max(note.cursor);
    progress.failing_since = note.failing_since;
    progress.last_success_at = note.last_success_at.or(before.last_success_at);
    let failure = note.last_failure.clone();
    progress.last_failure = failure.or(before.last_failure.clone()).map(|mut failure| {
        failure.answer.clear();
        failure
    });
    if let (Some(recovery), Some((number, after))) = (progress.recovery.as_mut(), note.recovery)
        && recovery.number == number
    {
        recovery.after = recovery.after.max(after);
        if recovery.after >= recovery.until {
            progress.recovery = None;
        }
    }

    let dead = note.put.iter().filter(|delivery| !delivery.is_waiting()).count();
    progress.given_up = before
        .given_up
        .saturating_add(u64::try_from(dead).unwrap_or_default());
    if progress != before {
        changes.push(DestinationChange::PutProgress(id, progress));
    }
    let removed = note.remove.iter();
    changes.extend(removed.map(|event| DestinationChange::RemoveDelivery(id, *event)));
    changes.extend(note.put.iter().cloned().map(DestinationChange::PutDelivery));
    if dead > 0 {
        let before = now.checked_sub_signed(TimeDelta::days(DEAD_DAYS)).unwrap_or(now);
        changes.push(DestinationChange::PruneDead { destination: id, before, keep: MAX_DEAD });
    }

    if let Some((reason, version)) = note.disable
        && let Some(destination) = view.destination(id)?
        && destination.updated_at == version
        && destination.is_enabled()
    {
        let state = DestinationState::Disabled { reason, at: now };
        let disabled = Destination { state, updated_at: now, ..destination };
        changes.push(DestinationChange::Put(Box::new(disabled)));
    }
    Ok(changes)
}
