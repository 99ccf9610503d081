use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn user() -> Tokens {
    let password = Secret("pa55word".into());
    Tokens::new(Credentials::user("root".into(), password).expect("valid"))
}

fn given(token: &str) -> Tokens {
    Tokens::new(Credentials::token(token).expect("valid"))
}

fn simple(at: Instant) -> Login {
    Login::Issued(Issued::new(
        HeaderValue::from_static("abc.7"),
        false,
        None,
        at,
    ))
}

fn jwt(life: Duration, at: Instant) -> Login {
    let token = HeaderValue::from_static("a.b.c");
    Login::Issued(Issued::new(token, true, Some(life), at))
}

fn failure(kind: ErrorKind) -> Error {
    Error::new(kind, "no")
}

/// A user who has just logged in.
fn logged_in(login: Login, at: Instant) -> Tokens {
    let mut tokens = user();
    let ticket = tokens.due(at).expect("a login is due");
    tokens.logged_in(ticket, login, at);
    assert!(goes(&tokens, at));
    tokens
}

fn goes(tokens: &Tokens, at: Instant) -> bool {
    matches!(tokens.advise(at), Advice::Go)
}

fn waits(tokens: &Tokens, at: Instant) -> bool {
    matches!(tokens.advise(at), Advice::Wait)
}

fn fails(tokens: &Tokens, at: Instant) -> bool {
    matches!(tokens.advise(at), Advice::Fail(_))
}

#[test]
fn without_credentials_requests_just_go() {
    let now = Instant::now();
    let mut tokens = Tokens::new(Credentials::None);
    assert!(goes(&tokens, now) && tokens.due(now).is_none() && tokens.token().is_none());
    assert_eq!(tokens.settled_until(now), None);
    let generation = tokens.generation();
    assert!(!tokens.refused(generation, Refusal::Unknown, now));
    assert!(!tokens.refused(generation, Refusal::Denied, now));
    // As who has a client certificate meets it when users change under a request.
    assert!(tokens.refused(generation, Refusal::Old, now));
    assert!(goes(&tokens, now) && tokens.due(now).is_none());
}

#[test]
fn all_requests_wait_for_one_login() {
    let now = Instant::now();
    let mut tokens = user();
    assert!(waits(&tokens, now));
    let ticket = tokens.due(now).expect("a login is due");
    assert_eq!(ticket.not_before, now);
    assert!(tokens.due(now + 60 * SECOND).is_none() && waits(&tokens, now));
    tokens.logged_in(ticket, simple(now), now);
    assert!(goes(&tokens, now) && tokens.due(now).is_none());
    assert_eq!(tokens.token().expect("issued"), "abc.7");
}

#[test]
fn many_refusals_of_one_token_make_one_login() {
    let now = Instant::now();
    let mut tokens = logged_in(simple(now), now);
    let (old, now) = (tokens.generation(), now + 10 * SECOND);
    for _ in 0..50 {
        assert!(tokens.refused(old, Refusal::Unknown, now));
    }
    let ticket = tokens.due(now).expect("a login is due");
    assert!(tokens.due(now).is_none());
    tokens.logged_in(ticket, simple(now), now);
    assert!(
        tokens.refused(old, Refusal::Unknown, now),
        "it has a newer one to try"
    );
    assert!(tokens.due(now).is_none() && goes(&tokens, now));
}

#[test]
fn a_token_is_renewed_at_half_its_life_without_keeping_requests() {
    let start = Instant::now();
    let mut tokens = logged_in(simple(start), start);
    assert!(tokens.due(start + 149 * SECOND).is_none());
    let now = start + 150 * SECOND;
    let ticket = tokens.due(now).expect("a renewal is due");
    assert!(goes(&tokens, now) && tokens.due(now).is_none());
    assert_eq!(tokens.settled_until(now), Some(start + LIFE));
    tokens.logged_in(ticket, simple(now), now);
    assert!(tokens.due(now + 149 * SECOND).is_none());
    assert!(tokens.due(now + 150 * SECOND).is_some());
}

#[test]
fn after_its_life_a_token_is_renewed_first() {
    let start = Instant::now();
    let mut tokens = logged_in(simple(start), start);
    let now = start + 301 * SECOND;
    assert_eq!(tokens.settled_until(now), Some(start + 150 * SECOND));
    assert!(tokens.due(now).is_some() && waits(&tokens, now));
}

#[test]
fn a_jwt_is_renewed_by_what_it_says() {
    let start = Instant::now();
    let mut tokens = logged_in(jwt(10 * SECOND, start), start);
    assert!(tokens.due(start + 4 * SECOND).is_none());
    assert!(tokens.due(start + 5 * SECOND).is_some());
    // A clock that is ahead must not make a login with each request.
    let mut tokens = logged_in(jwt(Duration::ZERO, start), start);
    assert!(tokens.due(start).is_none());
    assert!(tokens.due(start + SECOND).is_some());
    let mut tokens = logged_in(jwt(Duration::MAX, start), start);
    assert!(tokens.due(start + 3600 * SECOND).is_none());
}

#[test]
fn a_renewal_that_fails_costs_nothing_but_another_one() {
    let start = Instant::now();
    for login in [
        Login::Failed(failure(ErrorKind::Timeout)),
        Login::Denied(failure(ErrorKind::AuthFailed)),
    ] {
        let mut tokens = logged_in(simple(start), start);
        let now = start + 310 * SECOND;
        let ticket = tokens.due(now).expect("a renewal is due");
        tokens.logged_in(ticket, login, now);
        assert!(goes(&tokens, now) && tokens.due(now).is_none());
        assert!(tokens.settled_until(now).is_some_and(|until| until > now));
        assert!(tokens.due(now + LIFE / 8).is_some());
        assert!(
            goes(&tokens, now + LIFE / 8),
            "it is renewed in the background"
        );
    }
}

#[test]
fn shorter_lives_are_learned_and_forgotten() {
    let start = Instant::now();
    let mut tokens = logged_in(simple(start), start);
    let now = start + 8 * SECOND;
    assert!(tokens.refused(tokens.generation(), Refusal::Unknown, now));
    let ticket = tokens.due(now).expect("a login is due");
    tokens.logged_in(ticket, simple(now), now);
    assert!(tokens.due(now + 3 * SECOND).is_none());
    let now = now + 4 * SECOND;
    let ticket = tokens.due(now).expect("a renewal is due");
    tokens.logged_in(ticket, simple(now), now);
    assert!(
        tokens.due(now + 7 * SECOND).is_none(),
        "it was good for that long"
    );
    assert!(tokens.due(now + 8 * SECOND).is_some());
}

#[test]
fn a_wrong_password_is_not_tried_all_the_time() {
    let now = Instant::now();
    let mut tokens = user();
    let ticket = tokens.due(now).expect("a login is due");
    tokens.logged_in(ticket, Login::Denied(failure(ErrorKind::AuthFailed)), now);
    for _ in 0..50 {
        assert!(fails(&tokens, now) && tokens.due(now).is_none());
    }
    let later = now + DENIED_FOR;
    assert!(tokens.due(later).is_some() && waits(&tokens, later));
}

#[test]
fn logins_that_fail_keep_their_distance() {
    let mut now = Instant::now();
    let mut tokens = user();
    for apart in [0, 50, 100, 200, 400, 800, 1000, 1000] {
        let ticket = tokens.due(now).expect("a login is due");
        assert_eq!(ticket.not_before - now, Duration::from_millis(apart));
        now = ticket.not_before;
        tokens.logged_in(ticket, Login::Failed(failure(ErrorKind::Timeout)), now);
        assert!(waits(&tokens, now) && tokens.trouble().is_some());
    }
}

#[test]
fn tokens_that_are_refused_at_once_do_not_make_a_storm() {
    let mut now = Instant::now();
    let mut tokens = user();
    for apart in [0, 50, 100, 200, 400, 800, 1000, 1000] {
        let ticket = tokens.due(now).expect("a login is due");
        assert_eq!(ticket.not_before - now, Duration::from_millis(apart));
        now = ticket.not_before;
        tokens.logged_in(ticket, jwt(60 * SECOND, now), now);
        assert!(tokens.refused(tokens.generation(), Refusal::Unknown, now));
    }
    let ticket = tokens.due(now).expect("a login is due");
    now = ticket.not_before;
    tokens.logged_in(ticket, simple(now), now);
    now += YOUNG;
    assert!(tokens.refused(tokens.generation(), Refusal::Unknown, now));
    assert_eq!(tokens.due(now).expect("a login is due").not_before, now);
}

#[test]
fn members_that_are_a_little_behind_are_waited_for() {
    let now = Instant::now();
    let mut tokens = logged_in(simple(now), now);
    assert!(tokens.refused(tokens.generation(), Refusal::Unknown, now));
    assert!(goes(&tokens, now) && tokens.due(now).is_none());
    let later = now + SETTLING;
    assert!(tokens.refused(tokens.generation(), Refusal::Unknown, later));
    assert!(tokens.due(later).is_some());
}

#[test]
fn a_cluster_without_authentication_gets_no_token() {
    let now = Instant::now();
    let mut tokens = logged_in(Login::NotNeeded, now);
    assert_eq!((tokens.token(), tokens.settled_until(now)), (None, None));
    // Until somebody turns it on.
    assert!(tokens.refused(tokens.generation(), Refusal::Unknown, now));
    assert!(tokens.due(now).is_some() && waits(&tokens, now));
}

#[test]
fn only_a_jwt_ends_when_users_change() {
    let now = Instant::now();
    let mut tokens = logged_in(simple(now), now);
    assert!(tokens.refused(tokens.generation(), Refusal::Old, now));
    assert!(goes(&tokens, now) && tokens.due(now).is_none());
    let mut tokens = logged_in(jwt(60 * SECOND, now), now);
    assert!(tokens.refused(tokens.generation(), Refusal::Old, now));
    let ticket = tokens.due(now).expect("a login is due");
    assert_eq!(
        ticket.not_before, now,
        "a change of users is no sign of trouble"
    );
}

#[test]
fn a_denial_may_mean_an_old_token_but_not_a_new_one() {
    let now = Instant::now();
    let mut tokens = logged_in(simple(now), now);
    assert!(!tokens.refused(tokens.generation(), Refusal::Denied, now + SECOND));
    let old = tokens.generation();
    assert!(tokens.refused(old, Refusal::Denied, now + 200 * SECOND));
    assert!(tokens.refused(old, Refusal::Denied, now + 200 * SECOND));
    assert!(tokens.due(now + 200 * SECOND).is_some());
}

#[test]
fn a_given_token_is_only_replaced_by_its_giver() {
    let now = Instant::now();
    let mut tokens = given("a.b.c");
    let old = tokens.generation();
    for refusal in [Refusal::Unknown, Refusal::Old, Refusal::Denied] {
        assert!(!tokens.refused(old, refusal, now));
    }
    assert!(goes(&tokens, now) && tokens.due(now).is_none());
    tokens.replace(Credentials::token("d.e.f").expect("valid"));
    assert!(
        tokens.refused(old, Refusal::Unknown, now),
        "worth another attempt"
    );
    assert!(!tokens.refused(tokens.generation(), Refusal::Unknown, now));
    assert_eq!(tokens.token().expect("given"), "d.e.f");
}

#[test]
fn a_login_with_replaced_credentials_does_not_count() {
    let now = Instant::now();
    let mut tokens = user();
    let ticket = tokens.due(now).expect("a login is due");
    assert!(tokens.wants(ticket));
    tokens.replace(Credentials::token("d.e.f").expect("valid"));
    assert!(!tokens.wants(ticket));
    tokens.logged_in(ticket, simple(now), now);
    assert_eq!(tokens.token().expect("given"), "d.e.f");
}

#[test]
fn an_abandoned_login_is_begun_anew() {
    let now = Instant::now();
    let mut tokens = user();
    let ticket = tokens.due(now).expect("a login is due");
    tokens.logged_in(ticket, Login::Abandoned, now);
    assert!(waits(&tokens, now) && tokens.due(now).is_some());
}

#[test]
fn nothing_secret_shows() {
    let now = Instant::now();
    let mut issued = HeaderValue::from_static("abc.7");
    issued.set_sensitive(true);
    let tokens = [
        user(),
        given("abc.7"),
        logged_in(Login::Issued(Issued::new(issued, false, None, now)), now),
    ];
    let shown = format!("{tokens:?}");
    assert!(
        !shown.contains("pa55word") && !shown.contains("abc.7"),
        "{shown}"
    );
}
