#!/bin/sh
# Puts sample mail into anna's mailbox where she has none, then runs what it is given.
set -eu
root=${MAIL_ROOT:-/srv/mail}
if [ ! -d "$root/anna" ]; then
  mkdir -p "$root/anna/cur" "$root/anna/new" "$root/anna/tmp"
  number=0
  for subject in Welcome 'The minutes of Monday' 'Invoice 2026-114' 'Lunch?' 'Re: Lunch?' 'Your order has been sent' \
    'Photos' 'A question about IMAP' 'Re: A question about IMAP' 'The newsletter of November'; do
    number=$((number + 1))
    printf 'From: Bert <bert@example.org>\r\nTo: Anna <anna@example.org>\r\nSubject: %s\r\nDate: Mon, %d Nov 2026 09:00:00 +0000\r\nMessage-ID: <sample-%d@example.org>\r\n\r\nThis is sample mail, number %d.\r\n' \
      "$subject" "$number" "$number" "$number" >"$root/anna/new/$number.sample.example"
  done
  chown -R 1000:1000 "$root/anna" 2>/dev/null || true
fi
exec "$@"
