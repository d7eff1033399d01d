using Sluice.Storage.Audit;

namespace Sluice.Gateway.Audit;

/// <summary>
/// A page of changes. <paramref name="Next"/> is the cursor of the next page, and null on the last page.
/// </summary>
public sealed record AuditList(IReadOnlyList<AuditEntry> Entries, string? Next);

/// <summary>A page of refused logins, as <see cref="AuditList"/>.</summary>
public sealed record RefusedLoginList(IReadOnlyList<RefusedLogin> Entries, string? Next);
