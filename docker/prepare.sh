#!/bin/sh
# Makes .env, the secrets and the folders that docker-compose.yml needs, where they are missing.
# Prints the first API key and Grafana's password once; ./secrets keeps a hash of the key alone.
set -eu
cd "$(dirname "$0")/.."
umask 077

random() { head -c 24 /dev/urandom | base64 | tr '+/' '-_'; }

[ -e .env ] || sed "s/^ONEGAUGE_USER=.*/ONEGAUGE_USER=$(id -u):$(id -g)/" .env.example >.env
mkdir -p secrets data
if [ ! -e secrets/api_keys ]; then
    key=og_$(random)
    printf 'first inspect,read,admin,review,teach %s\n' "$(printf %s "$key" | sha256sum | cut -d ' ' -f 1)" >secrets/api_keys
    echo "API key          $key"
fi
if [ ! -e secrets/grafana_password ]; then
    password=$(random)
    printf %s "$password" >secrets/grafana_password
    echo "Grafana, admin   $password"
fi
[ -e secrets/triton_admin_key ] || random | tr -d '\n' >secrets/triton_admin_key
if [ ! -e secrets/postgres_password ]; then
    password=$(random)
    printf %s "$password" >secrets/postgres_password
    printf 'postgresql+psycopg://onegauge:%s@postgres/onegauge' "$password" >secrets/records
fi
# Who is told of decisions: nobody yet; docs/integration.md
[ -e secrets/sinks ] || : >secrets/sinks

# Containers read the secrets as users of their own; the folder keeps everybody else out
chmod 644 secrets/*
# Triton's user writes the engines that it builds
mkdir -p data/engines
chmod 777 data/engines
chmod 755 data
