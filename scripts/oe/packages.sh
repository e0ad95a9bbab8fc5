#!/bin/sh
# Usage: packages.sh PACKAGE...
# Puts into the current directory what stands for these packages, as root or under pseudo.
set -e

for package in "$@"; do
    case $package in
        base-files)
            mkdir -p dev etc home run tmp var/volatile/log var/volatile/tmp
            ln -s volatile/log var/log
            ln -s volatile/tmp var/tmp
            ln -s ../run var/run
            ln -s ../run/lock var/lock
            chmod 1777 tmp var/volatile/tmp
            echo 'tmpfs /var/volatile tmpfs defaults 0 0' >etc/fstab
            mknod dev/null c 1 3
            chmod 666 dev/null
            echo '127.0.0.1 localhost' >etc/hosts
            ;;
        base-passwd)
            mkdir -p etc
            echo 'root:x:0:0:root:/:/bin/sh' >etc/passwd
            echo 'root:x:0:' >etc/group
            ;;
        busybox)
            mkdir -p bin
            cp "$(command -v busybox)" bin/busybox
            chmod 4755 bin/busybox
            ln -s busybox bin/sh
            ;;
        lighttpd)
            mkdir -p etc/lighttpd usr/sbin www/pages
            ln -s /var/log www/logs
            echo 'server.document-root = "/www/pages"' >etc/lighttpd/lighttpd.conf
            printf '#!/bin/sh\necho serving "$@"\n' >usr/sbin/lighttpd
            chmod 755 usr/sbin/lighttpd
            echo '<p>It works.</p>' >www/pages/index.html
            ;;
        lighttpd-module-accesslog)
            mkdir -p usr/lib/lighttpd
            echo 'a module' >usr/lib/lighttpd/mod_accesslog.so
            ;;
        netbase)
            mkdir -p etc
            seq 1 9999 >etc/services
            ;;
        curl | helloworld-flask)
            mkdir -p usr/bin
            seq 1 9999 >usr/bin/$package
            chmod 755 usr/bin/$package
            ;;
        ca-certificates)
            mkdir -p etc/ssl/certs
            seq 1 9999 >etc/ssl/certs/ca-certificates.crt
            ;;
        nginx)
            mkdir -p etc/nginx usr/sbin var/log/nginx
            seq 1 9999 >usr/sbin/nginx
            chmod 755 usr/sbin/nginx
            ;;
        *)
            echo "no package $package" >&2
            exit 1
            ;;
    esac
done
