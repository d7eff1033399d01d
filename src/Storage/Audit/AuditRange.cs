namespace Sluice.Storage.Audit;

/// <summary>A part of the audit log.</summary>
/// <param name="Limit">Maximum number of entries.</param>
/// <param name="Before">
/// Only entries before this one, which is the last of the previous page; null: from the end.
/// </param>
/// <param name="Since">Only entries from this time on.</param>
/// <param name="Until">Only entries until this time; <paramref name="Before"/> replaces it.</param>
public readonly record struct AuditRange(
    int Limit, string? Before = null, DateTimeOffset? Since = null, DateTimeOffset? Until = null);
