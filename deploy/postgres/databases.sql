-- One database for each service: a role that owns and migrates it, and a role that only serves. Run by psql as the
-- administrator; running it again brings everything into this state. The passwords are variables (database_roles).
\set ON_ERROR_STOP on
\set service tickets
\set owner_password :desk_tickets_owner
\set serving_password :desk_tickets_service
\ir database.sql
\set service inventory
\set owner_password :desk_inventory_owner
\set serving_password :desk_inventory_service
\ir database.sql
\set service sla
\set owner_password :desk_sla_owner
\set serving_password :desk_sla_service
\ir database.sql
\set service devlink
\set owner_password :desk_devlink_owner
\set serving_password :desk_devlink_service
\ir database.sql
