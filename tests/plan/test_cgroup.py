"""What control groups leave: trees of both versions, with limits at every level, in containers, and damaged ones."""

import pytest

from simwidget.plan import memory
from simwidget.plan.cgroup import bytes_left_in_groups

GB = 10**9
NO_V1_LIMIT = 9223372036854771712


class Tree:
    """A folder with the files that Linux has in /proc and /sys."""

    def __init__(self, root):
        self.root = root
        self.write("proc/self/cgroup", "")

    def write(self, path, text):
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def is_in(self, *lines):
        self.write("proc/self/cgroup", "".join(f"{line}\n" for line in lines))

    def v2(self, group, limit="max", used=0, cache="", high="max", mount=""):
        folder = f"sys/fs/cgroup/{mount}{group}"
        self.write(f"{folder}/memory.max", f"{limit}\n")
        self.write(f"{folder}/memory.high", f"{high}\n")
        self.write(f"{folder}/memory.current", f"{used}\n")
        self.write(f"{folder}/memory.stat", cache)

    def v1(self, group, limit=NO_V1_LIMIT, used=0, cache=""):
        folder = f"sys/fs/cgroup/memory{group}"
        self.write(f"{folder}/memory.limit_in_bytes", f"{limit}\n")
        self.write(f"{folder}/memory.usage_in_bytes", f"{used}\n")
        self.write(f"{folder}/memory.stat", cache)

    @property
    def left(self):
        return bytes_left_in_groups(self.root)


@pytest.fixture
def tree(tmp_path):
    return Tree(tmp_path)


@pytest.mark.parametrize("tight", ["", "/user.slice", "/user.slice/job", "/user.slice/job/step"])
def test_v2_limits_at_any_level(tree, tight):
    tree.is_in("0::/user.slice/job/step")
    for group in ("", "/user.slice", "/user.slice/job", "/user.slice/job/step"):
        tree.v2(group, *((3 * GB, GB) if group == tight else ("max", 2 * GB)))
    tree.v2("/user.slice/other", GB, GB)
    assert tree.left == 2 * GB


@pytest.mark.parametrize("tight", ["", "/slurm", "/slurm/job"])
def test_v1_limits_at_any_level(tree, tight):
    tree.is_in("7:pids:/", "4:cpu,memory:/slurm/job", "0::/elsewhere")
    for group in ("", "/slurm", "/slurm/job"):
        tree.v1(group, *((3 * GB, GB) if group == tight else (NO_V1_LIMIT, 2 * GB)))
    assert tree.left == 2 * GB


def test_the_tightest_level_counts(tree):
    """It is not that of the smallest limit: siblings use what a group above has."""
    tree.is_in("0::/a/b")
    tree.v2("/a", 10 * GB, 9 * GB)
    tree.v2("/a/b", 4 * GB, GB)
    assert tree.left == GB


def test_both_versions_side_by_side(tree):
    tree.is_in("4:memory:/job", "0::/job")
    tree.v1("/job", 5 * GB, GB)
    assert tree.left == 4 * GB
    tree.v2("/job", 3 * GB, GB, mount="unified")
    assert tree.left == 2 * GB


def test_reclaimable_cache_is_free(tree):
    """Page cache in use or not, and slab; not the memory of tmpfs or of processes, nor what a group above counts."""
    tree.is_in("0::/job")
    cache = f"anon {GB}\nfile {3 * GB}\nshmem {GB}\ninactive_file {GB}\nactive_file {GB // 2}\n"
    tree.v2("/job", 6 * GB, 5 * GB, cache + f"slab_reclaimable {GB // 4}\nslab_unreclaimable {GB}\n")
    assert tree.left == GB + GB + GB // 2 + GB // 4
    tree.is_in("4:memory:/job")
    tree.v1(
        "/job", 6 * GB, 5 * GB, f"inactive_file 7\nactive_file 7\ntotal_inactive_file {GB}\ntotal_active_file {GB}\n"
    )
    assert tree.left == 3 * GB


def test_a_soft_limit_counts(tree):
    tree.is_in("0::/job")
    tree.v2("/job", 8 * GB, GB, high=3 * GB)
    assert tree.left == 2 * GB


@pytest.mark.parametrize("line", ["0::/docker/0123abcd", "0::/", "0::/../../host.slice/job"])
def test_a_container_sees_its_group_as_the_root(tree, line):
    """The path is that on the host, or leads out of the namespace."""
    tree.is_in(line)
    tree.v2("", 3 * GB, GB)
    tree.write("sys/host.slice/job/memory.max", "1\n")
    tree.write("sys/host.slice/job/memory.current", "0\n")
    assert tree.left == 2 * GB


def test_a_container_of_version_1(tree):
    tree.is_in("4:memory:/docker/0123abcd")
    tree.v1("", 3 * GB, GB)
    assert tree.left == 2 * GB


def test_a_group_over_its_limit_leaves_nothing(tree):
    tree.is_in("0::/")
    tree.v2("", GB, 2 * GB)
    assert tree.left == 0


def test_more_cache_than_usage_leaves_the_limit(tree):
    tree.is_in("0::/")
    tree.v2("", GB, 10, f"inactive_file {GB}\n")
    assert tree.left == GB


def test_no_limit_is_none(tree):
    tree.is_in("4:memory:/job", "0::/job")
    tree.v2("/job", mount="unified")
    tree.v1("/job")
    assert tree.left is None


def test_no_groups_are_none(tmp_path):
    assert bytes_left_in_groups(tmp_path) is None


@pytest.mark.parametrize("text", ["", "garbage", "0", "::", "0::", "a:memory", "\x00:\xff"])
def test_a_file_that_nobody_can_read(tree, text):
    tree.v1("/job", 3 * GB, GB)
    tree.write("proc/self/cgroup", text)
    assert tree.left is None


@pytest.mark.parametrize("name", ["memory.max", "memory.current"])
@pytest.mark.parametrize("text", ["", "-", "1 2", "ten\n", None])
def test_a_level_that_nobody_can_read_is_left_out(tree, name, text):
    tree.is_in("0::/a/b")
    tree.v2("/a", 5 * GB, GB)
    tree.v2("/a/b", 3 * GB, GB)
    if text is None:
        (tree.root / "sys/fs/cgroup/a/b" / name).unlink()
    else:
        tree.write(f"sys/fs/cgroup/a/b/{name}", text)
    assert tree.left == 4 * GB


@pytest.mark.parametrize("text", ["", "inactive_file", "inactive_file many", "inactive_file -1", "a b c", "\x00"])
def test_statistics_that_nobody_can_read_count_no_cache(tree, text):
    tree.is_in("0::/")
    tree.v2("", 3 * GB, GB, text + "\n")
    assert tree.left == 2 * GB


@pytest.mark.parametrize(("left", "free"), [(None, 4096000), (1000, 1000), (5 * GB, 4096000)])
def test_the_least_of_all_bounds_is_free(monkeypatch, tmp_path, left, free):
    tree = Tree(tmp_path)
    tree.write("proc/meminfo", "MemTotal: 9000 kB\nMemFree: 1000 kB\nMemAvailable:   4000 kB\n")
    if left is not None:
        tree.is_in("0::/")
        tree.v2("", left, 0)
    monkeypatch.setattr(memory, "ROOT", tmp_path)
    assert memory.bytes_free(memory.torch.device("cpu")) == free
