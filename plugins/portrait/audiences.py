"""Audiences as files, for who may start a publish: /audiences/<name>.csv and .parquet"""

import tempfile
from collections.abc import Iterator
from typing import IO

from fastapi import APIRouter, HTTPException
from fastapi.responses import StreamingResponse

from include.connections import connect
from include.errors import InputError, PortraitError
from include.marts import export
from plugins.portrait import access

BLOCK = 1 << 16
TYPES = {"csv": "text/csv; charset=utf-8", "parquet": "application/vnd.apache.parquet"}

ROUTER = APIRouter(prefix="/audiences", dependencies=[access.SIGNED_IN])


def may_export(forms: list[access.Form]) -> bool:
    """Whether a reader to whom these forms are shown may take customers out."""
    return any(form.dag_id == "publish" and form.may_trigger for form in forms)


@ROUTER.get("/{name}.{form}")  # def, not async def: it waits for the warehouse
def download(
    user: access.Reader, name: str, form: export.Form, group: export.Group = "treatment"
) -> StreamingResponse:
    """The file, made whole before its first byte is sent, so that its end can be missed."""
    if not may_export(access.forms(user)):
        raise HTTPException(403, "only who may trigger publish may take customers out")
    file = tempfile.TemporaryFile()  # noqa: SIM115  without a name: gone once _blocks is
    try:
        with connect("warehouse") as db:
            by = f"page, {user.get_name()}"
            export.write(db, name, file, form=form, group=group, by=by)
    except InputError as error:
        raise HTTPException(404, str(error)) from error
    except PortraitError as error:
        raise HTTPException(503, str(error)) from error
    headers = {
        "Content-Length": str(file.tell()),
        "Content-Disposition": f'attachment; filename="{name}-{group}.{form}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return StreamingResponse(_blocks(file), media_type=TYPES[form], headers=headers)


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        file.seek(0)
        while block := file.read(BLOCK):
            yield block
