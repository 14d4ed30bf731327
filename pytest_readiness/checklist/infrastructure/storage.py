"""Which StorageClasses can provision a volume, and which claims keep theirs; pure."""

from collections.abc import Collection, Iterator, Sequence

from pytest_readiness.targets.kubernetes.facts import Claim, StorageClass

# In-tree provisioners whose volumes a CSI driver makes today, and its name (translation of
# k8s.io/csi-translation-lib). The code of the other in-tree provisioners is gone.
_MIGRATED = {
    "kubernetes.io/aws-ebs": "ebs.csi.aws.com",
    "kubernetes.io/azure-disk": "disk.csi.azure.com",
    "kubernetes.io/azure-file": "file.csi.azure.com",
    "kubernetes.io/cinder": "cinder.csi.openstack.org",
    "kubernetes.io/gce-pd": "pd.csi.storage.gke.io",
    "kubernetes.io/portworx-volume": "pxd.portworx.com",
    "kubernetes.io/vsphere-volume": "csi.vsphere.vmware.com",
}
Found = tuple[str, str, str]  # subject, problem, its code
_NONE = "kubernetes.io/no-provisioner"


def wrong_with_defaults(
    classes: Sequence[StorageClass], csi_drivers: Collection[str]
) -> Iterator[Found]:
    """Yield what is wrong unless exactly one class is the default and can provision."""
    defaults = [storage_class for storage_class in classes if storage_class.default]
    if not defaults:
        yield (
            "cluster",
            f"none of its {len(classes)} StorageClasses is the default",
            "no-default-class",
        )
    for storage_class in defaults:
        subject = f"storageclass/{storage_class.name}"
        others = [other.name for other in defaults if other is not storage_class]
        if others:
            yield subject, f"is default beside {', '.join(others)}", "two-default-classes"
        problem = cannot_provision(storage_class.provisioner, csi_drivers)
        if problem:
            yield subject, problem, "cannot-provision"


def claim_problems(claim: Claim) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a claim, and its code."""
    if claim.phase != "Bound":
        of_class = f"class {claim.storage_class or 'default'}"
        yield f"is {claim.phase or 'without a phase'}, {of_class}", "claim-not-bound"
    if claim.deleting:
        yield "is being deleted: its volume goes with the last pod that uses it", "claim-deleting"


def cannot_provision(provisioner: str, csi_drivers: Collection[str]) -> str | None:
    """Say why a provisioner does not provide volumes, or None when its CSI driver is there.

    An external provisioner without a CSIDriver (`rancher.io/local-path`) may well work, but
    nothing in the API shows that it is there, so it does not count.
    """
    if provisioner == _NONE:
        return f"{_NONE} makes no volumes: somebody has to make each by hand"
    driver = _MIGRATED.get(provisioner, provisioner)
    if driver in csi_drivers:
        return None
    if driver != provisioner:
        return f"its provisioner {provisioner} is served by CSIDriver {driver}, which is not there"
    if provisioner.startswith("kubernetes.io/"):
        return f"its in-tree provisioner {provisioner} is no longer part of Kubernetes"
    return f"its provisioner {provisioner} has no CSIDriver of that name"
