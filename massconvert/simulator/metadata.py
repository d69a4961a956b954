"""What Zoho says of each module, field, layout and portal beside what the product reads.

Zoho's description of its API calls nearly every key mandatory, so clients that hold answers against it find all of them
here, with values that say nothing. Each function gives values of its own, which the caller may change.
"""

from __future__ import annotations

from typing import Any

from massconvert.simulator.leads import moment

#: When the organisation was set up.
_SET_UP = moment(1_735_689_600.0)
_NOBODY: dict[str, Any] = {"name": "Ann Archer", "id": "3652397000000281001"}
_PROFILE = {"name": "Administrator", "id": "3652397000000026011"}
_NOWHERE: dict[str, Any] = {"api_name": None, "id": None}


def _keys(text: str) -> list[str]:
    return text.split()


#: Keys by what stands in all of them: true, false, null, nothing.
_MODULE_YES = _keys(
    "common.search_supported deletable creatable recycle_bin_on_delete visible editable filter_supported "
    "show_as_tab viewable quick_create triggers_supported webform_supported"
)
_MODULE_NO = _keys(
    "inventory_template_supported presence_sub_menu chart_view isBlueprintSupported emailTemplate_support "
    "email_parser_supported feeds_required scoring_supported chart_view_supported track_current_data "
    "kanban_view_supported kanban_view filter_status zia_view"
)
_MODULE_NOTHING = _keys("modified_time web_link parent_module display_field custom_view")
_MODULE_LISTS = _keys(
    "arguments $field_states business_card_fields $properties $on_demand_properties search_layout_fields "
    "related_lists layouts fields default_mapping_fields layout_associations"
)
_FIELD_YES = _keys("webhook available_in_user_layout filterable sortable searchable mass_update")
_FIELD_NO = _keys(
    "blueprint_supported virtual_field field_read_only businesscard_supported display_field "
    "pick_list_values_sorted_lexically separator enable_colour_code colour_code_enabled_by_system "
    "_update_existing_records number_separator static_field hipaa_compliance_enabled"
)
_FIELD_NOTHING = _keys(
    "decimal_place rollup_summary created_time modified_time multi_module_lookup currency lookup subform "
    "formula multiselectlookup auto_number additional_column common.picklist"
)
_FIELD_EMPTY = _keys("sharing_properties unique convert_mapping textarea")
_FIELD_LISTS = _keys("customizable_properties layout_associations file_upolad_optionlist allowed_modules")


def of_module(place: int) -> dict[str, Any]:
    """The further keys of a module; ``place`` is its number on the page."""
    return {
        **dict.fromkeys(_MODULE_YES, True),
        **dict.fromkeys(_MODULE_NO, False),
        **dict.fromkeys(_MODULE_NOTHING),
        **{name: [] for name in _MODULE_LISTS},
        "activity_badge": "Disabled",
        "description": "",
        "visibility": 1,
        "sequence_number": place,
        "profile_count": 1,
        "business_card_field_limit": 5,
        "per_page": 200,
        "modified_by": dict(_NOBODY),
        "profiles": [dict(_PROFILE)],
        "lookup_field_properties": {"fields": []},
        "related_list_properties": {"sort_by": dict(_NOWHERE), "fields": [], "sort_order": None},
    }


def of_field(name: str, label: str, module: tuple[str, str], place: int) -> dict[str, Any]:
    """The further keys of a field; ``module`` is the API name and the id of its module."""
    writes = dict.fromkeys(("web_update", "api_create", "web_create", "api_update"), True)
    return {
        **dict.fromkeys(_FIELD_YES, True),
        **dict.fromkeys(_FIELD_NO, False),
        **dict.fromkeys(_FIELD_NOTHING),
        **{key: {} for key in _FIELD_EMPTY},
        **{key: [] for key in _FIELD_LISTS},
        "associated_module": {"api_name": module[0], "id": module[1]},
        "operation_type": writes,
        "created_source": "default",
        "type": "used",
        "display_label": label,
        "column_name": name.upper(),
        "display_type": -1,
        "ui_type": 1,
        "show_type": 7,
        "category": 1,
        "sequence_number": place,
        "quick_sequence_number": str(place),
        "email_parser": {"fields_update_supported": False, "record_operations_supported": False},
        "refer_from_field": dict(_NOWHERE),
        "profiles": [{**_PROFILE, "permission_type": "read_write"}],
        "view_type": dict.fromkeys(("view", "edit", "quick_create", "create"), True),
        "sub_module": dict(_NOWHERE),
        "external": {"show": False, "type": None},
        "multiuserlookup": {
            **dict.fromkeys(("display_label", "lookup_apiname", "api_name", "connectedfield_apiname")),
            **dict.fromkeys(("connectedlookup_apiname", "id", "record_access")),
            "linking_module": dict(_NOWHERE),
            "connected_module": dict(_NOWHERE),
        },
        "autonumber": {"starting_number_length": 0, "prefix": None, "suffix": None, "start_number": None},
        "crypt": {"mode": None, "status": None},
        "tooltip": {"name": "", "value": ""},
        "history_tracking": {"module": {}, "duration_configured_field": dict(_NOWHERE)},
        "association_details": {"related_field": dict(_NOWHERE), "lookup_field": dict(_NOWHERE)},
        "hipaa_compliance": {"restricted_in_export": None, "restricted": None},
    }


def of_laid_out_field(place: int) -> dict[str, Any]:
    """The keys that a field has in a layout alone."""
    return {
        "default_value": None,
        "section_id": place,
        "validation_rule": None,
        "static_values": [],
        "_delete": {"permanent": False},
    }


def of_stage(name: str) -> dict[str, Any]:
    """The further keys of a stage in a pipeline."""
    kind = {"Closed Won": "Closed", "Closed Lost": "Omitted"}.get(name, "Open")
    forecast = "Closed Won" if kind == "Closed" else "Closed Lost" if kind == "Omitted" else "Open"
    return {"forecast_category": {"name": kind, "id": "3652397000000095900"}, "forecast_type": forecast}


def of_value(place: int) -> dict[str, Any]:
    """The further keys of a picklist's value."""
    return {"colour_code": None, "type": "used", "id": f"36523970000000061{place:02}", "sequence_number": place}


def of_section(place: int) -> dict[str, Any]:
    """The further keys of a layout's section."""
    return {
        "id": f"36523970000000920{place:02}",
        "name": "Information",
        "type": "used",
        "generated_type": "default",
        "sequence_number": place,
        "column_count": 2,
        "tab_traversal": "column",
        "isSubformSection": False,
        "properties": {"reorder_rows": None, "maximum_rows": None, "tooltip": {}},
        "_delete": {"permanent": False},
    }


def of_layout(name: str) -> dict[str, Any]:
    """The further keys of a layout."""
    actions = ("edit", "rename", "clone", "downgrade", "delete", "deactivate", "set_layout_permissions")
    nothing = {"name": None, "id": None}
    return {
        "has_more_profiles": False,
        "created_time": _SET_UP,
        "modified_time": _SET_UP,
        "source": "default",
        "display_label": name,
        "mode": "all",
        "subform_properties": {"pinned_column": False},
        "show_business_card": False,
        "generated_type": "default",
        "created_for": dict(_NOBODY),
        "created_by": dict(_NOBODY),
        "modified_by": dict(_NOBODY),
        "convert_mapping": {
            **{module: dict(nothing) for module in ("Contacts", "Accounts", "Invoices", "SalesOrders")},
            "Deals": {**nothing, "fields": []},
        },
        "profiles": [{**_PROFILE, "default": True, "_default_view": {**nothing, "type": None}}],
        "actions_allowed": dict.fromkeys(actions, True),
    }


def of_portal() -> dict[str, Any]:
    """The further keys of a portal."""
    return {
        "created_time": _SET_UP,
        "modified_time": _SET_UP,
        "created_by": dict(_NOBODY),
        "modified_by": dict(_NOBODY),
    }
