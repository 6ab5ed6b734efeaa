use super::*;

fn failed(name: &str) -> Event {
    Event::new(AuditAction::SignInFailed).to(name)
}

/// Another address for each number.
fn from_anywhere(n: usize) -> Event {
    let address = std::net::Ipv4Addr::from_bits(u32::try_from(n).unwrap());
    failed(&n.to_string()).from(address.into())
}

fn taken(buffer: &mut AuditBuffer, now: Instant) -> Vec<(String, u32)> {
    let entries = buffer.take(now, false);
    let seen = entries.into_iter();
    seen.map(|e| (e.target.unwrap_or(e.action.into_owned()), e.count))
        .collect()
}

#[test]
fn the_first_is_written_at_once_and_what_follows_is_counted() {
    let (mut buffer, start) = (AuditBuffer::default(), Instant::now());
    let request = |id: &str| failed("alice").in_request(Some(id.into()));
    assert!(buffer.note(request("1"), start));
    assert_eq!(taken(&mut buffer, start), [("alice".to_owned(), 1)]);
    for n in 0..99 {
        assert!(!buffer.note(request(&n.to_string()), start));
    }
    assert!(buffer.note(failed("bob"), start));
    assert_eq!(taken(&mut buffer, start), [("bob".to_owned(), 1)]);
    assert_eq!(
        taken(&mut buffer, start + SUSPICIOUS.lasts),
        [("alice".to_owned(), 99)]
    );
    assert!(buffer.failures.open.is_empty() && buffer.failures.by_source.is_empty());
    assert!(buffer.note(request("2"), start + SUSPICIOUS.lasts));
}

#[test]
fn what_there_is_no_room_for_is_counted() {
    let (mut buffer, start) = (AuditBuffer::default(), Instant::now());
    for n in 0..SUSPICIOUS.capacity + 7 {
        buffer.note(from_anywhere(n), start);
    }
    let entries = taken(&mut buffer, start);
    assert_eq!(entries.len(), SUSPICIOUS.capacity + 1);
    assert_eq!(
        entries[SUSPICIOUS.capacity],
        ("audit.dropped".to_owned(), 7)
    );
    assert!(buffer.take(start + SUSPICIOUS.lasts, false).is_empty());
    assert!(buffer.note(failed("again"), start + SUSPICIOUS.lasts));
}

#[test]
fn what_is_not_written_is_kept_up_to_a_bound_and_the_rest_counted() {
    let (mut buffer, mut now) = (AuditBuffer::default(), Instant::now());
    let mut kept = vec![];
    let mut noted = 0;
    while noted < KEPT + 500 {
        for _ in 0..SUSPICIOUS.capacity {
            buffer.note(from_anywhere(noted), now);
            noted += 1;
        }
        now += SUSPICIOUS.lasts;
        buffer.take_into(&mut kept, now, false);
        assert!(kept.len() <= KEPT);
    }
    // The first are there, and nothing is said of the others before there is room.
    assert_eq!(kept.len(), KEPT);
    assert_eq!(kept[0].target.as_deref(), Some("0"));
    kept.clear();
    buffer.take_into(&mut kept, now, false);
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].count as usize, noted - KEPT);
}

/// As when the disk is full. The first try is over once a later write is refused, too.
#[cfg(unix)]
#[tokio::test]
async fn what_cannot_be_written_yet_is_written_once_it_can() {
    let dir = tempfile::tempdir().unwrap();
    let (file, aside) = (dir.path().join("herald.db"), dir.path().join("aside"));
    let options = herald_store::StoreOptions::sqlite(&file);
    let store = Store::open(options).await.unwrap();
    let audit = std::sync::Arc::<Audit>::default();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let (audit, store) = (audit.clone(), store.clone());
        async move { audit.run(store, async { drop(stopped.await) }).await }
    });
    std::fs::rename(&file, &aside).unwrap();
    audit.note(failed("alice"));
    let limit = Duration::from_secs(20);
    let tried = async {
        while !audit.buffer.lock().ready.is_empty() {
            tokio::task::yield_now().await;
        }
        store.ping().await.unwrap_err();
    };
    tokio::time::timeout(limit, tried).await.unwrap();
    std::fs::rename(&aside, &file).unwrap();
    let recorded = async {
        loop {
            let filter = herald_store::AuditFilter::default();
            let entries = store.audit(&filter, None, 10).await.unwrap().items;
            if !entries.is_empty() {
                return entries;
            }
            tokio::task::yield_now().await;
        }
    };
    let recorded = tokio::time::timeout(limit, recorded).await.unwrap();
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0].entry.target.as_deref(), Some("alice"));
    drop(stop);
    running.await.unwrap();
    store.close().await;
}

#[test]
fn attacks_do_not_push_out_who_signs_in_and_is_recorded_once_an_hour() {
    let (mut buffer, start) = (AuditBuffer::default(), Instant::now());
    for n in 0..SUSPICIOUS.capacity {
        buffer.note(from_anywhere(n), start);
    }
    buffer.take(start, false);
    let sign_in = || Event::new(AuditAction::SignIn).to("alice");
    assert!(buffer.note(sign_in(), start));
    buffer.take(start, false);
    assert!(!buffer.note(sign_in(), start + SUSPICIOUS.lasts));
    assert!(buffer.take(start + SUSPICIOUS.lasts, false).is_empty());
    let written = taken(&mut buffer, start + ORDINARY.lasts);
    assert_eq!(written, [("alice".to_owned(), 1)]);
}

#[test]
fn one_who_does_very_much_does_not_push_out_what_others_do() {
    let (mut buffer, start) = (AuditBuffer::default(), Instant::now());
    let ivy = Username::parse("ivy").unwrap();
    let jon = Username::parse("jon").unwrap();
    let denied = |who: &Username, n: usize| {
        let event = Event::new(AuditAction::AccessDenied).by(who);
        event.to(format!("GET /admin/users/{n}"))
    };
    for n in 0..5000 {
        buffer.note(denied(&ivy, n), start);
    }
    assert!(buffer.note(failed("jon"), start));
    assert!(buffer.note(denied(&jon, 0), start));
    assert_eq!(buffer.dropped, 0);
    // Fifty, what is more, and the two.
    assert_eq!(buffer.take(start, false).len(), PER_SOURCE + 1 + 2);
    let rest = buffer.take(start + SUSPICIOUS.lasts, false);
    assert_eq!(rest.len(), 1);
    let more = &rest[0];
    assert_eq!(more.detail.as_deref(), Some(MORE));
    assert_eq!(more.actor.as_deref(), Some("ivy"));
    assert_eq!(more.count as usize, 5000 - PER_SOURCE - 1);
}

#[test]
fn one_who_comes_from_very_many_addresses_is_one() {
    let (mut buffer, start) = (AuditBuffer::default(), Instant::now());
    let ivy = Username::parse("ivy").unwrap();
    let addresses = |n: usize| format!("2001:db8:{:x}::{n}", n % 22).parse().unwrap();
    for n in 0..5000 {
        let event = Event::new(AuditAction::AccessDenied).by(&ivy);
        let event = event.to(format!("GET /admin/users/{n}"));
        buffer.note(event.from(addresses(n)), start);
    }
    assert_eq!(buffer.take(start, false).len(), PER_SOURCE + 1);
    for n in 0..5000u32 {
        let inside = std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(n));
        buffer.note(failed(&n.to_string()).from(inside.into()), start);
    }
    assert_eq!(buffer.take(start, false).len(), PER_SOURCE + 1);
    assert_eq!(buffer.dropped, 0);
}

#[test]
fn at_the_end_nothing_is_kept_back() {
    let (mut buffer, start) = (AuditBuffer::default(), Instant::now());
    buffer.note(failed("alice"), start);
    buffer.note(failed("alice"), start);
    let counts: Vec<_> = buffer.take(start, true).iter().map(|e| e.count).collect();
    assert_eq!(counts, [1, 1]);
}
