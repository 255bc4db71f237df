"""Sends an event every so many seconds to where it is told: a ContainerSource, or anything that a SinkBinding is about.

Nothing but the standard library: K_SINK is a URL, an event is a POST, K_CE_OVERRIDES is JSON.
"""

import argparse
import itertools
import json
import os
import sys
import time
import urllib.error
import urllib.request

TYPE = "dev.knative.eventing.samples.heartbeat"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--period", type=float, default=5, help="seconds between two events")
    parser.add_argument("--label", default="", help="a word in each of them")
    options = parser.parse_args()
    sink = os.environ.get("K_SINK") or sys.exit("K_SINK is not set: nobody has said where to send")
    overrides = json.loads(os.environ.get("K_CE_OVERRIDES") or "{}").get("extensions", {})
    name = f"{os.environ.get('POD_NAMESPACE', 'default')}/{os.environ.get('POD_NAME', 'heartbeats')}"
    for number in itertools.count(1):
        event = {
            "specversion": "1.0",
            "id": f"{time.time_ns()}",
            "type": TYPE,
            "source": f"https://knative.dev/eventing/cmd/heartbeats/#{name}",
            "datacontenttype": "application/json",
            "data": {"id": number, "label": options.label},
            **overrides,
        }
        send(sink, event)
        time.sleep(options.period)


def send(sink: str, event: dict) -> None:
    request = urllib.request.Request(sink, json.dumps(event).encode(), {"Content-Type": "application/cloudevents+json"})
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            print(f"sent {event['data']}: {answer.status}", flush=True)
    except (urllib.error.URLError, TimeoutError) as error:
        print(f"not sent {event['data']}: {error}", flush=True)


if __name__ == "__main__":
    main()
