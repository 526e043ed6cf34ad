create extension if not exists vector;

create table siamese.galleries (
    gallery bigint generated always as identity primary key,
    name text not null unique,
    -- The fingerprint of the model whose embeddings these are.
    model text not null,
    dims integer not null check (dims > 0),
    distance text not null,
    threshold real check (threshold >= 0),
    -- The false accept rate that the threshold was calibrated for; null: it was given.
    far double precision check (far > 0 and far < 1),
    -- The version of the program that wrote it last.
    version text not null
);

-- Numbers ascend in the order of enrolment and are not given twice.
create table siamese.identities (
    gallery bigint not null references siamese.galleries on delete cascade,
    identity integer not null,
    name text not null,
    primary key (gallery, identity),
    unique (gallery, name)
);

-- The pictures that are enrolled.
create table siamese.sources (
    gallery bigint not null,
    identity integer not null,
    name text not null,
    -- SHA-256; null where it was not noted: such are known by their names.
    content bytea check (octet_length(content) = 32),
    foreign key (gallery, identity) references siamese.identities on delete cascade
);
create unique index sources_content on siamese.sources (gallery, content) where content is not null;
create unique index sources_name on siamese.sources (gallery, name) where content is null;
create index sources_identity on siamese.sources (gallery, identity);

-- Numbers ascend in the order of enrolment.
create table siamese.embeddings (
    gallery bigint not null,
    number bigint not null,
    identity integer not null,
    -- How many images it is the mean of.
    images integer not null check (images > 0),
    embedding vector not null,
    primary key (gallery, number),
    foreign key (gallery, identity) references siamese.identities on delete cascade
);
create index embeddings_identity on siamese.embeddings (gallery, identity);
