namespace Sluice.Gateway.Http;

/// <summary>Reads a parameter of the query that is <c>true</c> or <c>false</c>.</summary>
internal static class QueryFlag
{
    /// <summary>
    /// Reads <c>?dryRun=true</c>, which checks a change without making it, and marks the request so that it is not
    /// audited. Null: an error response was written.
    /// </summary>
    public static async Task<bool?> ReadDryRunAsync(HttpContext context)
    {
        var dryRun = await ReadAsync(context, "dryRun");
        if (dryRun == true) context.Features.Set(new DryRun());
        return dryRun;
    }

    /// <summary>Returns the value; false if it is missing. Null: an error response was written.</summary>
    public static async Task<bool?> ReadAsync(HttpContext context, string name)
    {
        var given = context.Request.Query[name];
        if (given.Count == 0 || given == "false") return false;
        if (given == "true") return true;
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest,
            $"{name} is '{given}'; expected true or false.");
        return null;
    }
}
