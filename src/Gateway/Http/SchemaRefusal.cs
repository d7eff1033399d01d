using Sluice.Storage.Redis;

namespace Sluice.Gateway.Http;

/// <summary>
/// Refuses requests that need a version of the data in Redis which is not active, because gateways of an earlier build
/// run during a rolling upgrade.
/// </summary>
public static class SchemaRefusal
{
    /// <summary>The code of the error.</summary>
    public const string Code = "schema_not_active";

    private static readonly TimeSpan RetryDelay = TimeSpan.FromSeconds(30);

    /// <summary>Writes a 503 if the version is not active. False: the request may be served.</summary>
    /// <param name="context">The request.</param>
    /// <param name="schema">The version of the data.</param>
    /// <param name="version">The version that the request needs.</param>
    /// <param name="what">What is refused, as the subject of a sentence in the plural.</param>
    public static async Task<bool> RefuseAsync(HttpContext context, ActiveSchema schema, int version, string what)
    {
        if (schema.Allows(version)) return false;
        await Problem.WriteAsync(context, StatusCodes.Status503ServiceUnavailable,
            $"{what} are not accepted during this upgrade. {schema.WhyNot(version)} Send the request again later.",
            RetryDelay, code: Code);
        return true;
    }
}
