using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;
using Sluice.Storage.Catalog;

namespace Sluice.Gateway.Management;

/// <summary>
/// Conditional changes of declarations (RFC 9110, section 13.1). The <c>ETag</c> of a declaration changes with the
/// declaration only, not with its status.
/// </summary>
internal static class EntryTag
{
    /// <summary>Sets the header <c>ETag</c> of a response.</summary>
    public static void Set(HttpResponse response, CatalogEntry? entry)
    {
        if (entry is not null) response.Headers.ETag = $"\"{entry.Tag}\"";
    }

    /// <summary>Checks <c>If-Match</c> and <c>If-None-Match: *</c> of a request.</summary>
    /// <param name="request">The request.</param>
    /// <param name="entry">The entry now; null if there is none.</param>
    /// <returns>
    /// The tag that must not change until the change is stored (empty: no condition), whether the entry must not exist,
    /// and the error to report; null if the conditions hold.
    /// </returns>
    public static (string Expected, bool Create, string? Error) Check(HttpRequest request, CatalogEntry? entry)
    {
        var create = request.Headers.IfNoneMatch == "*";
        if (create && entry is not null)
            return ("", true, "If-None-Match is '*', but the declaration exists. Replace it without this header.");
        var given = request.Headers.IfMatch;
        if (StringValues.IsNullOrEmpty(given)) return ("", create, null);
        if (entry is null)
            return ("", create, $"If-Match is '{given}', but the declaration does not exist.");
        if (!EntityTagHeaderValue.TryParseStrictList(given!, out var tags))
            return ("", create,
                $"If-Match is '{given}'; expected the ETag of a response, with its quotation marks, or *.");
        var current = new EntityTagHeaderValue($"\"{entry.Tag}\"");
        return tags.Any(t => t.Equals(EntityTagHeaderValue.Any) || t.Compare(current, useStrongComparison: true))
            ? (entry.Tag, create, null)
            : ("", create, $"If-Match is '{given}', but the declaration is now {current}. Read it again.");
    }
}
