//! Every statement that reads or writes rows. None of them may read a table from end to end.

/// All of them, with names.
pub(super) const ALL: &[(&str, &str)] = &[
    ("head", HEAD),
    ("entry", ENTRY),
    ("time of an entry", TIME),
    ("entries after", AFTER),
    ("last entries", TAIL),
    ("entries of a kind", KIND),
    ("entries of times", TIMES),
    ("rising run", RISING),
    ("number of an entity", NUMBER),
    ("id of an entity", ID),
    ("entities as they came", CAME),
    ("entities that came late", CAME_LATE),
    ("highest number", HIGHEST_NUMBER),
    ("highest number of those that came", HIGHEST_CAME),
    ("highest place of those that came late", HIGHEST_CAME_LATE),
    ("version", VERSION),
    ("newest version", NEWEST),
    ("version at", VERSION_AT),
    ("version after", VERSION_AFTER),
    ("milestone", MILESTONE),
    ("owner at", OWNER_AT),
    ("owner since", OWNER),
    ("referrers", REFERRERS),
    ("reference", REFERENCE),
    ("layout", LAYOUT),
    ("layout by digest", LAYOUT_BY_DIGEST),
    ("layouts", LAYOUTS),
    ("highest layout", HIGHEST_LAYOUT),
    ("dictionary", DICTIONARY),
    ("newest dictionary", NEWEST_DICTIONARY),
    ("tag", TAG),
    ("tags", TAGS),
    ("tag from", TAG_FROM),
    ("add entity", ADD_ENTITY),
    ("entity comes", ENTITY_COMES),
    ("add version", ADD_VERSION),
    ("add milestone", ADD_MILESTONE),
    ("add owner", ADD_OWNER),
    ("add reference", ADD_REFERENCE),
    ("end reference", END_REFERENCE),
    ("add layout", ADD_LAYOUT),
    ("add dictionary", ADD_DICTIONARY),
    ("add entry", ADD_ENTRY),
    ("cut rising runs", CUT_RISING),
    ("add rising run", ADD_RISING),
    ("add tag", ADD_TAG),
    ("horizon", HORIZON),
    ("set horizon", SET_HORIZON),
    ("drop version", DROP_VERSION),
    ("drop owner", DROP_OWNER),
    ("key", KEY),
    ("key of a subject", KEY_OF),
    ("highest key", HIGHEST_KEY),
    ("secret", SECRET),
    ("sealed versions", SEALED),
    ("add key", ADD_KEY),
    ("erase key", ERASE_KEY),
    ("add secret", ADD_SECRET),
    ("set secret", SET_SECRET),
    ("any erasure", ANY_ERASURE),
    ("page count", PAGE_COUNT),
    ("page size", PAGE_SIZE),
    ("data version", DATA_VERSION),
];

pub(super) const HEAD: &str = "SELECT position, time, kind, said, made, body, hash, sum FROM entry \
    WHERE position = (SELECT max(position) FROM entry)";
pub(super) const ENTRY: &str =
    "SELECT position, time, kind, said, made, body, hash, sum FROM entry WHERE position = ?1";
pub(super) const TIME: &str = "SELECT time FROM entry WHERE position = ?1";
pub(super) const AFTER: &str = "SELECT position FROM entry WHERE position > ?1 ORDER BY position LIMIT ?2";
pub(super) const TAIL: &str = "SELECT position FROM entry WHERE position <= ?1 ORDER BY position DESC LIMIT ?2";
pub(super) const KIND: &str =
    "SELECT position FROM entry WHERE kind = ?1 AND position <= ?2 ORDER BY position DESC LIMIT ?3";
pub(super) const TIMES: &str =
    "SELECT position FROM entry WHERE time BETWEEN ?1 AND ?2 ORDER BY time, position LIMIT ?3";
pub(super) const RISING: &str = "SELECT since, first, sum FROM rising WHERE since <= ?1 ORDER BY since DESC LIMIT 1";

pub(super) const NUMBER: &str = "SELECT number, id, came, sum FROM entity WHERE id = ?1";
pub(super) const ID: &str = "SELECT number, id, came, sum FROM entity WHERE number = ?1";
pub(super) const CAME: &str =
    "SELECT number, id, came, sum FROM entity WHERE number BETWEEN ?1 AND ?2 ORDER BY number LIMIT ?3";
pub(super) const CAME_LATE: &str = "SELECT number, id, came, sum FROM entity WHERE came >= ?1 ORDER BY came LIMIT ?2";
pub(super) const HIGHEST_NUMBER: &str = "SELECT max(number) FROM entity";
pub(super) const HIGHEST_CAME: &str = "SELECT max(number) FROM entity WHERE number <= ?1";
pub(super) const HIGHEST_CAME_LATE: &str =
    "SELECT came FROM entity WHERE came > 0 AND came IS NOT NULL ORDER BY came DESC LIMIT 1";

pub(super) const VERSION: &str =
    "SELECT key, position, kind, own, layout, dictionary, body, carried, seal, sum FROM version WHERE key = ?1";
pub(super) const NEWEST: &str = "SELECT key, position, kind, own, layout, dictionary, body, carried, seal, sum FROM version \
    WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1";
pub(super) const VERSION_AT: &str = "SELECT key, position, kind, own, layout, dictionary, body, carried, seal, sum FROM version \
    WHERE key BETWEEN ?1 AND ?2 AND position <= ?3 ORDER BY key DESC LIMIT 1";
pub(super) const VERSION_AFTER: &str = "SELECT key, position, kind, own, layout, dictionary, body, carried, seal, sum FROM version \
    WHERE key BETWEEN ?1 AND ?2 ORDER BY key LIMIT 1";
pub(super) const MILESTONE: &str = "SELECT entity, position, revision, sum FROM milestone \
    WHERE entity = ?1 AND position <= ?2 ORDER BY position DESC LIMIT 1";

pub(super) const OWNER_AT: &str = "SELECT child, since, owner, field, sum FROM edge \
    WHERE child = ?1 AND since <= ?2 ORDER BY since DESC LIMIT 1";
pub(super) const OWNER: &str = "SELECT child, since, owner, field, sum FROM edge WHERE child = ?1 AND since = ?2";
pub(super) const REFERRERS: &str =
    "SELECT target, until, source, field, since, sum FROM reference WHERE target = ?1 AND until > ?2";
pub(super) const REFERENCE: &str = "SELECT target, until, source, field, since, sum FROM reference \
    WHERE target = ?1 AND until = ?2 AND source = ?3 AND field = ?4";

pub(super) const LAYOUT: &str = "SELECT id, digest, name, schema, text, sum FROM layout WHERE id = ?1";
pub(super) const LAYOUT_BY_DIGEST: &str = "SELECT id, digest, name, schema, text, sum FROM layout WHERE digest = ?1";
pub(super) const LAYOUTS: &str = "SELECT id, digest, name, schema, text, sum FROM layout WHERE id > 0 ORDER BY id";
pub(super) const HIGHEST_LAYOUT: &str = "SELECT max(id) FROM layout";
pub(super) const DICTIONARY: &str = "SELECT id, size, bytes, sum FROM dictionary WHERE id = ?1";
pub(super) const NEWEST_DICTIONARY: &str =
    "SELECT id, size, bytes, sum FROM dictionary WHERE id = (SELECT max(id) FROM dictionary)";
pub(super) const TAG: &str = "SELECT name, position, sum FROM tag WHERE name = ?1";
pub(super) const TAGS: &str = "SELECT name, position, sum FROM tag WHERE name >= '' ORDER BY name";
pub(super) const TAG_FROM: &str = "SELECT name, position, sum FROM tag WHERE position >= ?1 ORDER BY position LIMIT 1";

pub(super) const ADD_ENTITY: &str =
    "INSERT INTO entity (number, id, came, sum) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING";
pub(super) const ENTITY_COMES: &str = "UPDATE entity SET came = ?2, sum = ?3 WHERE number = ?1";
pub(super) const ADD_VERSION: &str = "INSERT INTO version (key, position, kind, own, layout, dictionary, body, carried, seal, sum) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10) ON CONFLICT (key) DO NOTHING";
pub(super) const ADD_MILESTONE: &str =
    "INSERT INTO milestone (entity, position, revision, sum) VALUES (?1, ?2, ?3, ?4)";
pub(super) const ADD_OWNER: &str = "INSERT INTO edge (child, since, owner, field, sum) VALUES (?1, ?2, ?3, ?4, ?5)";
pub(super) const ADD_REFERENCE: &str = "INSERT INTO reference (target, until, source, field, since, sum) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (target, until, source, field) DO NOTHING";
pub(super) const END_REFERENCE: &str =
    "DELETE FROM reference WHERE target = ?1 AND until = ?2 AND source = ?3 AND field = ?4";
pub(super) const ADD_LAYOUT: &str =
    "INSERT INTO layout (id, digest, name, schema, text, sum) VALUES (?1, ?2, ?3, ?4, ?5, ?6)";
pub(super) const ADD_DICTIONARY: &str = "INSERT INTO dictionary (id, size, bytes, sum) VALUES (?1, ?2, ?3, ?4)";
pub(super) const ADD_ENTRY: &str = "INSERT INTO entry (position, time, kind, said, made, body, hash, sum) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)";
pub(super) const CUT_RISING: &str = "DELETE FROM rising WHERE since >= ?1";
pub(super) const ADD_RISING: &str = "INSERT INTO rising (since, first, sum) VALUES (?1, ?2, ?3)";
pub(super) const ADD_TAG: &str = "INSERT INTO tag (name, position, sum) VALUES (?1, ?2, ?3)";
pub(super) const HORIZON: &str = "SELECT id, position, swept, place, sum FROM horizon WHERE id = 1";
pub(super) const SET_HORIZON: &str =
    "INSERT OR REPLACE INTO horizon (id, position, swept, place, sum) VALUES (1, ?1, ?2, ?3, ?4)";
pub(super) const DROP_VERSION: &str = "DELETE FROM version WHERE key = ?1";
pub(super) const DROP_OWNER: &str = "DELETE FROM edge WHERE child = ?1 AND since = ?2";
pub(super) const KEY: &str = "SELECT number, subject, erased, sum FROM key WHERE number = ?1";
pub(super) const KEY_OF: &str = "SELECT number, subject, erased, sum FROM key WHERE subject = ?1 AND erased IS NULL";
pub(super) const HIGHEST_KEY: &str = "SELECT max(number) FROM key";
pub(super) const SECRET: &str = "SELECT number, bytes FROM secret WHERE number = ?1";
pub(super) const SEALED: &str = "SELECT key FROM version WHERE seal = ?1";
pub(super) const ADD_KEY: &str = "INSERT INTO key (number, subject, erased, sum) VALUES (?1, ?2, NULL, ?3)";
pub(super) const ERASE_KEY: &str = "UPDATE key SET erased = ?2, sum = ?3 WHERE number = ?1";
pub(super) const ADD_SECRET: &str = "INSERT INTO secret (number, bytes) VALUES (?1, ?2)";
pub(super) const SET_SECRET: &str = "UPDATE secret SET bytes = ?2 WHERE number = ?1";
pub(super) const ANY_ERASURE: &str = "SELECT 1 FROM entry WHERE kind = 6 LIMIT 1";
pub(super) const PAGE_COUNT: &str = "PRAGMA page_count";
pub(super) const PAGE_SIZE: &str = "PRAGMA page_size";
pub(super) const DATA_VERSION: &str = "PRAGMA data_version";

// What stands around them.
pub(super) const BEGIN: &str = "BEGIN DEFERRED";
pub(super) const BEGIN_WRITING: &str = "BEGIN IMMEDIATE";
pub(super) const END: &str = "COMMIT";
pub(super) const CUT_LOG: &str = "PRAGMA wal_checkpoint(TRUNCATE)";
