"""Bring Superset's own database to its version, with one account; `make bi` runs it there."""

import os

from flask_migrate import upgrade
from superset.app import create_app


def prepare(password: str) -> None:
    """Migrate, make the roles, and make or reset the account admin."""
    with create_app().app_context():
        upgrade()
        from superset import db  # bound to the app only now
        from superset.extensions import appbuilder, security_manager

        appbuilder.add_permissions(update_perms=True)
        security_manager.sync_role_definitions()
        if user := security_manager.find_user("admin"):
            security_manager.reset_password(user.id, password)
        else:
            role = security_manager.find_role("Admin")
            mail = "admin@portrait.invalid"
            security_manager.add_user("admin", "Portrait", "Admin", mail, role, password)
        db.session.commit()


if __name__ == "__main__":
    prepare(os.environ["PORTRAIT_BI_PASSWORD"])
