-- beside servers from migration 20 on
-- The terms of an operation, as they were in effect or as the command said when it was scheduled: what is changed later
-- touches no open operation. Null: scheduled by a version before, and then the site's values count. The owners are a
-- letter for each of auth, key_order, rsa_bits, ec_bits, completes_by, lsc_validity_days and lsc_subject: s for the
-- site, r for the profile, p for the phone, c for the command, f for the operation of the LSC that is renewed.
alter table operations add column lsc_validity_days integer, add column lsc_subject text, add column owners text;
alter table operations add constraint operations_terms
  check (lsc_validity_days between 1 and 1825 and lsc_subject in ('plain', 'cisco') and owners ~ '^[srpcf]{7}$'
    and (lsc_validity_days is null) = (lsc_subject is null)) not valid;

alter table operations validate constraint operations_terms;
