#!/bin/sh
# Sets the users and the rights on Kafka as the registry wants them, with Kafka's own tools, and takes away what it does
# not name. Running it again changes nothing. The registry's rights are rights.sh beside this file.
# What fails is told, and keeps nothing else from being done; the exit code is then 1, and running it again does the rest.
#   DESK_KAFKA_BOOTSTRAP, DESK_KAFKA_SECURITY (PLAINTEXT | SSL) and its files: how the operator reaches the brokers
#   DESK_KAFKA_OUTSIDERS: other systems, separated by spaces; each may do what rights.sh gives to OUTSIDER
#   $1: a folder with a file NAME_kafka_password for each user
set -eu
passwords=$1
here=$(dirname "$0")
PATH=$PATH:/opt/kafka/bin
export LOG_DIR="${TMPDIR:-/tmp}"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# Not every shell does that when a signal ends it, and there are passwords in it.
trap 'exit 129' HUP
trap 'exit 130' INT
trap 'exit 143' TERM
umask 077
# Sorting is of bytes: `comm` and `sort` must agree, whatever the locale.
export LC_ALL=C

{
  echo "security.protocol=${DESK_KAFKA_SECURITY:-PLAINTEXT}"
  if [ "${DESK_KAFKA_SECURITY:-PLAINTEXT}" = SSL ]; then
    # A PEM key store is one file: the key, and then its certificate.
    cat "$DESK_KAFKA_KEY_FILE" "$DESK_KAFKA_CERTIFICATE_FILE" > "$work/operator.pem"
    echo ssl.truststore.type=PEM "ssl.truststore.location=$DESK_KAFKA_CA_FILE" | tr ' ' '\n'
    echo ssl.keystore.type=PEM "ssl.keystore.location=$work/operator.pem" | tr ' ' '\n'
  fi
} > "$work/client.properties"

tool() {
  name=$1
  shift
  "$name" --bootstrap-server "$DESK_KAFKA_BOOTSTRAP" --command-config "$work/client.properties" "$@" > "$work/said" 2>&1 || {
    cat "$work/said" >&2
    return 1
  }
}

refuse() {
  echo "$1" >&2
  exit 1
}

# Whoever had the name of a service would have its rights; and a name stands in patterns and arguments.
own=$(sed -n 's/.* --allow-principal User:\([^ ]*\) .*/\1/p' "$here/rights.sh" | grep -vx OUTSIDER | sort -u)
[ -n "$own" ] || refuse "$here/rights.sh names no service: \`make contracts\` writes it"
# Not expanded: a * is a name that is refused, and no list of files.
set -f
for outsider in ${DESK_KAFKA_OUTSIDERS:-}; do
  printf '%s\n' "$outsider" | grep -qx '[a-z][a-z0-9-]\{0,40\}' \
    || refuse "DESK_KAFKA_OUTSIDERS: $outsider is no name: small letters, digits and -, 41 at most, a letter first"
  for service in $own; do
    [ "$outsider" != "$service" ] || refuse "DESK_KAFKA_OUTSIDERS: $outsider is the name of a service"
  done
done
for user in $own ${DESK_KAFKA_OUTSIDERS:-}; do
  [ -s "$passwords/${user}_kafka_password" ] || refuse "$passwords/${user}_kafka_password is missing or empty"
done
set +f

# One right a line, its parts with tabulators between: resource, pattern, name, principal, host, operation, permission.
awk -v outsiders="${DESK_KAFKA_OUTSIDERS:-}" '
  function tell(line, part, word, i, pattern, of, kind, name) {
    split(line, part, " ")
    pattern = "LITERAL"
    for (i = 1; i in part; i++) {
      if (part[i] == "--allow-principal") of = part[i + 1]
      if (part[i] == "--operation") word = toupper(part[i + 1])
      if (part[i] == "--topic" || part[i] == "--group" || part[i] == "--transactional-id") {
        kind = toupper(substr(part[i], 3)); gsub("-", "_", kind); name = part[i + 1]
      }
      if (part[i] == "--resource-pattern-type") pattern = toupper(part[i + 1])
    }
    print kind "\t" pattern "\t" name "\t" of "\t*\t" word "\tALLOW"
  }
  BEGIN { many = split(outsiders, stranger, " ") }
  /^kafka-acls.sh .* --add / {
    if ($0 !~ /OUTSIDER/) tell($0)
    else for (n = 1; n <= many; n++) { line = $0; gsub("OUTSIDER", stranger[n], line); tell(line) }
  }
' "$here/rights.sh" | sort -u > "$work/wanted"

tool kafka-acls.sh --list
awk '
  /^Current ACLs for resource / {
    kind = $0; sub(/.*resourceType=/, "", kind); sub(/, name=.*/, "", kind)
    name = $0; sub(/.*resourceType=[A-Z_]*, name=/, "", name); sub(/, patternType=[A-Z]*\).*/, "", name)
    pattern = $0; sub(/.*, patternType=/, "", pattern); sub(/\).*/, "", pattern)
  }
  /\(principal=.*permissionType=/ {
    who = $0; sub(/.*\(principal=/, "", who); sub(/, host=.*/, "", who)
    host = $0; sub(/.*, host=/, "", host); sub(/, operation=.*/, "", host)
    op = $0; sub(/.*, operation=/, "", op); sub(/, permissionType=.*/, "", op)
    how = $0; sub(/.*, permissionType=/, "", how); sub(/\).*/, "", how)
    print kind "\t" pattern "\t" name "\t" who "\t" host "\t" op "\t" how
  }
' "$work/said" | sort -u > "$work/present"

# Ours are the rights of these principals, and everybody's on these topics. What reaches the topics by a prefix or as a
# right on everything may be of the whole cluster: it is told, and left alone.
awk -F '\t' '
  NR == FNR { principals[$4]; if ($1 == "TOPIC") topics[$3]; next }
  $4 in principals || ($1 == "TOPIC" && $3 in topics) { print > ours; next }
  $1 == "TOPIC" {
    wide = $3 == "*"
    if ($2 == "PREFIXED") for (topic in topics) if (index(topic, $3) == 1) wide = 1
    if (wide) print "a wider right reaches these topics: " $4 " " $6 " on " $2 " " $3 " (" $7 ")" > "/dev/stderr"
  }
' ours="$work/ours" "$work/wanted" "$work/present"
touch "$work/ours"
comm -23 "$work/wanted" "$work/ours" > "$work/missing"
comm -13 "$work/wanted" "$work/ours" > "$work/beyond"

# Rights that differ in their resource only go into one call of the tool: starting it takes longer than what it does.
calls() {
  awk -F '\t' -v how="$1" '
    function quoted(text) { gsub(/\047/, "\047\\\047\047", text); return "\047" text "\047" }
    function pascal(text, part, n, i, made) {
      n = split(tolower(text), part, "_")
      for (i = 1; i <= n; i++) made = made toupper(substr(part[i], 1, 1)) substr(part[i], 2)
      return made
    }
    {
      rule = tolower($7)
      key = how " --" rule "-principal " quoted($4) " --" rule "-host " quoted($5) " --operation " pascal($6) \
        " --resource-pattern-type " tolower($2)
      option = $1 == "USER" ? "user-principal" : tolower($1)
      gsub("_", "-", option)
      names[key] = names[key] " --" option ($1 == "CLUSTER" ? "" : " " quoted($3))
    }
    END { for (key in names) print key names[key] }
  ' "$2"
}
calls --add "$work/missing" > "$work/calls"
calls "--remove --force" "$work/beyond" >> "$work/calls"
failed=0
not_done() {
  failed=$((failed + 1))
  echo "not done: $1" >&2
}
while read -r call; do
  eval "tool kafka-acls.sh $call" < /dev/null || not_done "kafka-acls.sh $call"
done < "$work/calls"

cut -f 4 "$work/wanted" | sed 's/^User://' | sort -u > "$work/users"
while read -r user; do
  # In a file, so that no password stands in the list of processes; there a backslash is written twice.
  password=$(sed 's/\\/\\\\/g' "$passwords/${user}_kafka_password")
  printf 'SCRAM-SHA-512=iterations=8192,password=%s\n' "$password" > "$work/user"
  tool kafka-configs.sh --alter --entity-type users --entity-name "$user" --add-config-file "$work/user" < /dev/null \
    || not_done "the password of $user"
done < "$work/users"

count() { wc -l < "$1" | tr -d ' '; }
[ "$failed" -eq 0 ] \
  || refuse "$failed of $(($(count "$work/calls") + $(count "$work/users"))) calls failed, as told above: run it again"
kept=$(($(count "$work/wanted") - $(count "$work/missing")))
echo "$(count "$work/users") users; $(count "$work/missing") rights added, $(count "$work/beyond") taken away, $kept were there"
