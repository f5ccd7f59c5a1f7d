-- A batch takes one number of the sequence and counts on from it (ADR 20): each stands for 1,024 ids. Drawing them one
-- by one would write WAL before there is anything to commit, because PostgreSQL logs a sequence at every 33rd call.
ALTER SEQUENCE actions_id_seq INCREMENT BY 1024;
