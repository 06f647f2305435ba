"""Who signs: configured certificates, and the one that each machine makes for itself."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from simswap.errors import SigningError
from simswap.provenance.signer import (
    CERTIFICATE,
    HOME,
    KEY,
    OWN_FILE,
    TIMESTAMP_URL,
    data_folder,
    find_signer,
)
from simswap.provenance.signing import try_out
from tests.support.credentials.certificates import Certified, make_certificate, pem_of_key


def configured(certified: Certified, **more: str) -> dict[str, str]:
    return {CERTIFICATE: certified.certificate, KEY: certified.key, **more}


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    """Settings of a machine that has signed nothing yet."""
    return {HOME: str(tmp_path / "home")}


def test_a_machine_makes_its_certificate_once(home, tmp_path):
    first, second = find_signer(home), find_signer(home)
    assert first == second
    assert first.is_self_made
    assert [path.name for path in (tmp_path / "home").iterdir()] == [OWN_FILE]


def test_each_machine_has_another(tmp_path):
    signers = [find_signer({HOME: str(tmp_path / name)}) for name in ("one", "two")]
    assert signers[0].key != signers[1].key
    assert signers[0].serial_number != signers[1].serial_number


def test_own_key_is_for_its_owners_eyes_only(home, tmp_path):
    find_signer(home)
    folder = tmp_path / "home"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / OWN_FILE).stat().st_mode) == 0o600


def test_a_signer_does_not_print_its_key(home):
    signer = find_signer(home)
    assert "PRIVATE" not in repr(signer)


def test_many_at_once_agree_on_one_certificate(home):
    with ThreadPoolExecutor(16) as pool:
        signers = list(pool.map(lambda _: find_signer(home), range(48)))
    assert len({signer.serial_number for signer in signers}) == 1


def test_an_expired_certificate_of_our_own_is_replaced(home, tmp_path):
    old = make_certificate(start=-10, end=-1)
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / OWN_FILE).write_text(old.key + old.certificate)
    signer = find_signer(home)
    assert signer.certificates != old.certificate
    assert find_signer(home) == signer


def test_the_own_certificate_tells_nothing_of_its_user(home):
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(find_signer(home).certificates.encode())
    names = {attribute.value for attribute in certificate.subject}
    assert names == {"SimSwap, self-signed"}


def test_the_data_folder_follows_the_system(monkeypatch, tmp_path):
    monkeypatch.setattr("sys.platform", "linux")
    assert data_folder({"XDG_DATA_HOME": "/data"}) == Path("/data/simswap")
    monkeypatch.setattr("pathlib.Path.home", lambda: tmp_path)
    assert data_folder({}) == tmp_path / ".local" / "share" / "simswap"


def test_secrets_may_hold_the_pem_itself_or_name_its_file(tmp_path):
    certified = make_certificate()
    (tmp_path / "cert.pem").write_text(certified.certificate)
    (tmp_path / "key.pem").write_text(certified.key)
    by_file = {CERTIFICATE: str(tmp_path / "cert.pem"), KEY: str(tmp_path / "key.pem")}
    one_line = {name: pem.replace("\n", "\\n") for name, pem in configured(certified).items()}
    signers = [find_signer(settings) for settings in (configured(certified), by_file, one_line)]
    assert signers[0] == signers[1] == signers[2]
    assert not signers[0].is_self_made


@pytest.mark.parametrize(
    ("make_key", "algorithm"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "es256"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "es384"),
        (lambda: rsa.generate_private_key(65537, 2048), "ps256"),
        (lambda: ed25519.Ed25519PrivateKey.generate(), "ed25519"),
    ],
)
def test_keys_of_the_usual_kinds_sign(make_key, algorithm):
    signer = find_signer(configured(make_certificate(key=make_key())))
    try_out(signer)
    assert signer.algorithm == algorithm


def test_a_chain_is_kept_whole():
    authority = make_certificate("Example Authority", is_authority=True)
    signer = find_signer(configured(make_certificate(issuer=authority)))
    assert signer.certificates.count("BEGIN CERTIFICATE") == 2
    try_out(signer)


AUTHORITY = make_certificate("Example Authority", is_authority=True)
CHAIN = make_certificate(issuer=AUTHORITY)
ISSUED = Certified(CHAIN.certificate.removesuffix(AUTHORITY.certificate), CHAIN.key)
OTHER_KEY = pem_of_key(ec.generate_private_key(ec.SECP256R1()))
LOCKED_KEY = pem_of_key(ec.generate_private_key(ec.SECP256R1()), b"secret")
SMALL_KEY = rsa.generate_private_key(65537, 1024)
ODD_KEY = ec.generate_private_key(ec.SECP256K1())


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        (configured(make_certificate(start=-9, end=-2)), r"expired on \d{4}-\d\d-\d\d\. Renew it"),
        (configured(make_certificate(start=2, end=9)), "not valid before"),
        (configured(ISSUED), "comes from an authority, whose own is missing"),
        (configured(make_certificate(), **{KEY: OTHER_KEY}), "the key is not the certificate's"),
        (configured(make_certificate(), **{KEY: LOCKED_KEY}), "has a password"),
        (configured(make_certificate(key=SMALL_KEY)), "keys of this kind cannot sign"),
        (configured(make_certificate(key=ODD_KEY)), "keys of this kind cannot sign"),
        (configured(Certified("-----BEGIN nothing", OTHER_KEY)), "no certificate and key"),
        ({CERTIFICATE: make_certificate().certificate}, f"{KEY} is not. Set both"),
        ({KEY: OTHER_KEY}, f"{CERTIFICATE} is not. Set both"),
        ({CERTIFICATE: "/nowhere/a.pem", KEY: "/nowhere/b.pem"}, f"{CERTIFICATE} cannot be read"),
        (configured(make_certificate(), **{TIMESTAMP_URL: "ftp://x"}), "not an address"),
    ],
)
def test_a_configuration_that_cannot_sign_is_told_in_a_sentence(settings, sentence):
    with pytest.raises(SigningError, match=sentence):
        find_signer(settings)


def test_a_key_given_where_a_path_belongs_is_not_repeated():
    with pytest.raises(SigningError) as told:
        find_signer({CERTIFICATE: "MIIsecret\0", KEY: "MIIsecret"})
    assert "MIIsecret" not in str(told.value)


def test_a_certificate_for_another_purpose_is_refused_when_tried():
    web_server = make_certificate(purpose=ExtendedKeyUsageOID.SERVER_AUTH)
    with pytest.raises(SigningError, match="not fit for Content Credentials"):
        try_out(find_signer(configured(web_server)))


def test_a_folder_that_cannot_be_written_is_told_and_only_the_log_has_its_path(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        SigningError, match=r"certificate signer.pem cannot be read or made"
    ) as told:
        find_signer({HOME: str(tmp_path / "file")})
    assert str(tmp_path) not in str(told.value)
    assert str(tmp_path / "file" / "signer.pem") in caplog.text


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("simswap.provenance.signer.Path.home", no_home)
    with pytest.raises(SigningError, match=f"Name a folder with {HOME}"):
        find_signer({})


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
def test_a_folder_without_rights_is_told(tmp_path):
    (tmp_path / "closed").mkdir(mode=0o500)
    with pytest.raises(SigningError, match="Check the folder's rights"):
        find_signer({HOME: str(tmp_path / "closed" / "home")})


def test_a_damaged_file_of_our_own_is_told_with_the_remedy(home, tmp_path):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / OWN_FILE).write_bytes(b"\0" * 100)
    with pytest.raises(SigningError, match="Or delete the file, and a new one is made") as told:
        find_signer(home)
    assert str(tmp_path) not in str(told.value)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
@pytest.mark.parametrize("setting", [CERTIFICATE, KEY, HOME])
def test_a_pipe_is_no_certificate_and_nobody_waits_for_it(tmp_path, setting):
    os.mkfifo(tmp_path / OWN_FILE)
    settings = configured(make_certificate()) | {setting: str(tmp_path / OWN_FILE)}
    with pytest.raises(SigningError, match="cannot be read"):
        find_signer({HOME: str(tmp_path)} if setting == HOME else settings)
