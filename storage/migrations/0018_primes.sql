-- RSA moduli are compared with each other: what was compared with all before it.
insert into progress (job, certificate_id) values ('common_primes', 0);
