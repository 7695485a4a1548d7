-- The database of one :service, as runner.databases makes it: nobody else connects, and what the serving role may do
-- with the tables is granted by the migrations.
\set database desk_ :service
\set owner desk_ :service _owner
\set serving desk_ :service _service

SELECT format('CREATE ROLE %I LOGIN', role) FROM (VALUES (:'owner'), (:'serving')) AS wanted (role)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec
-- A password must not be a part of what the server may log; only a superuser may say so.
SELECT set_config('log_statement', 'none', false) FROM pg_roles WHERE rolname = current_user AND rolsuper \g /dev/null
SELECT format('ALTER ROLE %I LOGIN PASSWORD %L', role, password)
FROM (VALUES (:'owner', :'owner_password'), (:'serving', :'serving_password')) AS wanted (role, password) \gexec
-- An administrator who is no superuser must be a member of the role that it gives the database to.
SELECT format('GRANT %I TO CURRENT_USER', :'owner') FROM pg_roles WHERE rolname = current_user AND NOT rolsuper \gexec
SELECT format('CREATE DATABASE %I OWNER %I TEMPLATE template0 ENCODING ''UTF8''', :'database', :'owner')
WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
REVOKE ALL ON DATABASE :"database" FROM PUBLIC;
GRANT CONNECT ON DATABASE :"database" TO :"serving";
-- The guards of every session that serves: how long a slow, a waiting and a frozen one may hold what it holds (ms).
ALTER ROLE :"serving" IN DATABASE :"database" SET statement_timeout = 30000;
ALTER ROLE :"serving" IN DATABASE :"database" SET lock_timeout = 20000;
ALTER ROLE :"serving" IN DATABASE :"database" SET idle_in_transaction_session_timeout = 3000;
SELECT current_database() AS administered \gset
\connect :"database"
GRANT USAGE ON SCHEMA public TO :"serving";
ALTER DEFAULT PRIVILEGES FOR ROLE :"owner" GRANT USAGE ON SCHEMAS TO :"serving";
\connect :"administered"
