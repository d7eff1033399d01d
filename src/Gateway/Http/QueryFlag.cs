namespace Sluice.Gateway.Http;

/// <summary>Reads a parameter of the query that is <c>true</c> or <c>false</c>.</summary>
internal static class QueryFlag
{
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
