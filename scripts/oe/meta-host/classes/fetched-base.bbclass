# The recipe of a base image out of a registry gets a prepared image: there is no network. What else such a recipe does is
# its own.

python do_fetch_containers:pn-alpine-oci-base () {
    import shutil
    (name,) = (url.replace('/', '_').replace(':', '_') for url in d.getVar('CONTAINER_BUNDLES').split())
    shutil.copytree(d.expand('${OE_HOST}/fetched-base'), d.expand('${WORKDIR}/fetched/' + name), dirs_exist_ok=True)
}

# Its packages would need a compiler.
python () {
    if d.getVar('PN') == 'alpine-oci-base':
        for task in 'package', 'packagedata', 'package_qa', 'package_write_ipk':
            bb.build.deltask('do_' + task, d)
            bb.build.deltask('do_%s_setscene' % task, d)
}
