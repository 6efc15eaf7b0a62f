"""Chain, outbox and inbox.

The database itself keeps the promises that matter: an entry is accepted only if it follows the head of the chain, what
is recorded is never changed or removed, and an event's bytes stay what they were when its entry was written.
"""

from alembic import op

revision = "0001"
down_revision = None

_TABLES = """
create table entries (
  seq bigint primary key check (seq > 0),
  at text not null,
  kind text not null,
  dataset text not null,
  subject text not null,
  actor text not null,
  body text not null,      -- canonical JSON: one spelling, so that every byte counts
  previous text not null unique,
  digest text not null unique
);
create index entries_by_subject on entries (subject, kind, seq);
create index entries_by_dataset on entries (dataset, kind, seq);

create table chain_head (
  is_only boolean primary key default true check (is_only),
  seq bigint not null,
  digest text not null
);
insert into chain_head (seq, digest) values (0, repeat('0', 64));

create table outbox (
  event_id text primary key,
  seq bigint not null unique references entries (seq),
  dataset text not null,
  envelope text not null,
  attempts integer not null default 0,
  next_attempt_at timestamptz not null default now(),
  last_failure text,
  sent_at timestamptz
);
create index outbox_pending on outbox (dataset, seq) where sent_at is null;

create table inbox (
  event_id text primary key,
  seq bigint not null references entries (seq),
  received_at timestamptz not null default now()
);
"""

_GUARDS = """
create function refuse_change() returns trigger language plpgsql as $$
begin
  raise exception '% is append-only', tg_table_name;
end $$;

create function follow_head() returns trigger language plpgsql as $$
begin
  update chain_head set seq = new.seq, digest = new.digest where seq = new.seq - 1 and digest = new.previous;
  if not found then
    raise exception 'entry % does not follow the head of the chain', new.seq;
  end if;
  return new;
end $$;

create function only_forward() returns trigger language plpgsql as $$
begin
  if new.seq <> old.seq + 1 then
    raise exception 'the head of the chain only moves forward';
  end if;
  return new;
end $$;

create function only_delivery_changes() returns trigger language plpgsql as $$
begin
  if (new.event_id, new.seq, new.dataset, new.envelope)
       is distinct from (old.event_id, old.seq, old.dataset, old.envelope)
     or (old.sent_at is not null and new.sent_at is distinct from old.sent_at) then
    raise exception 'an event is never rewritten';
  end if;
  return new;
end $$;

create function wake_relay() returns trigger language plpgsql as $$
begin
  perform pg_notify('outbox', '');
  return null;
end $$;

create trigger entries_append_only before update or delete on entries for each row execute function refuse_change();
create trigger entries_never_empty before truncate on entries for each statement execute function refuse_change();
create trigger entries_follow_head after insert on entries for each row execute function follow_head();
create trigger chain_head_kept before delete on chain_head for each row execute function refuse_change();
create trigger chain_head_never_empty before truncate on chain_head for each statement execute function refuse_change();
create trigger chain_head_forward before update on chain_head for each row execute function only_forward();
create trigger inbox_append_only before update or delete on inbox for each row execute function refuse_change();
create trigger inbox_never_empty before truncate on inbox for each statement execute function refuse_change();
create trigger outbox_kept before delete on outbox for each row execute function refuse_change();
create trigger outbox_never_empty before truncate on outbox for each statement execute function refuse_change();
create trigger outbox_only_delivery before update on outbox for each row execute function only_delivery_changes();
create trigger outbox_wakes_relay after insert on outbox for each statement execute function wake_relay();
"""


def upgrade() -> None:
    op.execute(_TABLES)
    op.execute(_GUARDS)


def downgrade() -> None:
    raise NotImplementedError("a ledger is never taken back")
