from __future__ import annotations

from core.clients.external_scaler_access import ExternalScalerAccess


def test_the_target_is_the_address_or_all_of_them() -> None:
    assert ExternalScalerAccess(("scaler.shop:9090",)).target == "scaler.shop:9090"
    assert ExternalScalerAccess(("127.0.0.1:1", "127.0.0.1:2")).target == "ipv4:127.0.0.1:1,127.0.0.1:2"
