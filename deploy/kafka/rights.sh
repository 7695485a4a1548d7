#!/bin/sh
# Printed by `python -m shared.messaging acls`: what each service and other system may do on Kafka.
# sh this-file --bootstrap-server HOST:PORT --command-config FILE
set -e
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Write --topic desk.tickets.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Write --topic desk.teams.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Write --topic desk.ticket-facts.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Write --topic desk.tickets.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.clients.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.contracts.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.devlink.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.devlink.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.environments.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.inventory.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.sla.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.sla.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.teams.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --topic desk.tickets.v1
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Read --group desk-tickets
kafka-acls.sh "$@" --add --allow-principal User:tickets --operation Write --transactional-id desk-tickets-records
kafka-acls.sh "$@" --add --allow-principal User:inventory --operation Write --topic desk.environments.v1
kafka-acls.sh "$@" --add --allow-principal User:inventory --operation Write --topic desk.clients.v1
kafka-acls.sh "$@" --add --allow-principal User:inventory --operation Write --topic desk.inventory.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:inventory --operation Read --topic desk.clients.v1
kafka-acls.sh "$@" --add --allow-principal User:inventory --operation Read --topic desk.environments.v1
kafka-acls.sh "$@" --add --allow-principal User:inventory --operation Read --topic desk.tickets.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:inventory --operation Read --topic desk.tickets.v1
kafka-acls.sh "$@" --add --allow-principal User:inventory --operation Read --group desk-inventory
kafka-acls.sh "$@" --add --allow-principal User:inventory --operation Write --transactional-id desk-inventory-records
kafka-acls.sh "$@" --add --allow-principal User:sla --operation Write --topic desk.sla.v1
kafka-acls.sh "$@" --add --allow-principal User:sla --operation Write --topic desk.contracts.v1
kafka-acls.sh "$@" --add --allow-principal User:sla --operation Write --topic desk.sla.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:sla --operation Read --topic desk.contracts.v1
kafka-acls.sh "$@" --add --allow-principal User:sla --operation Read --topic desk.sla.v1
kafka-acls.sh "$@" --add --allow-principal User:sla --operation Read --topic desk.tickets.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:sla --operation Read --topic desk.tickets.v1
kafka-acls.sh "$@" --add --allow-principal User:sla --operation Read --group desk-sla
kafka-acls.sh "$@" --add --allow-principal User:sla --operation Write --transactional-id desk-sla-records
kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Write --topic desk.devlink.v1
kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Write --topic desk.dev-task-facts.v1
kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Write --topic desk.devlink.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Read --topic desk.devlink.v1
kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Read --topic desk.tickets.replay.v1
kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Read --topic desk.tickets.v1
kafka-acls.sh "$@" --add --allow-principal User:devlink --operation Read --group desk-devlink
kafka-acls.sh "$@" --add --allow-principal User:OUTSIDER --operation Read --topic desk.environments.v1
kafka-acls.sh "$@" --add --allow-principal User:OUTSIDER --operation Read --topic desk.sla.v1
kafka-acls.sh "$@" --add --allow-principal User:OUTSIDER --operation Read --topic desk.contracts.v1
kafka-acls.sh "$@" --add --allow-principal User:OUTSIDER --operation Read --topic desk.ticket-facts.v1
kafka-acls.sh "$@" --add --allow-principal User:OUTSIDER --operation Read --topic desk.dev-task-facts.v1
kafka-acls.sh "$@" --add --allow-principal User:OUTSIDER --operation Read --group OUTSIDER. --resource-pattern-type prefixed
