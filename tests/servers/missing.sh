#!/bin/sh
# Print the Debian packages that this machine lacks, one a line: nothing when it has all.
PATH=$PATH:/usr/sbin # where nginx and sshd lie, and which is not on the path of everybody
cd "${0%/*}" || exit
while read -r program package; do
  case $program in
    '#'*) ;;
    /*) [ -e "$program" ] || echo "$package" ;;
    *) command -v "$program" >/dev/null || echo "$package" ;;
  esac
done <debian.txt | sort -u
