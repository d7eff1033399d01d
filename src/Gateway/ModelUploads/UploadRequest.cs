using System.Text.RegularExpressions;
using Sluice.Gateway.Http;
using Sluice.Models.Uploads;

namespace Sluice.Gateway.ModelUploads;

/// <summary>What a PUT of a version requests, besides its body.</summary>
/// <param name="Range">The part of the upload in this request.</param>
/// <param name="Sha256">The expected SHA-256 of the whole upload; null: it is not checked.</param>
/// <param name="Inspects">Whether the built-in worker inspects the files.</param>
internal sealed partial record UploadRequest(UploadRange Range, string? Sha256, bool Inspects)
{
    /// <summary>Reads a request. Null: an error response was written.</summary>
    public static async Task<UploadRequest?> ReadAsync(HttpContext context)
    {
        var range = UploadRange.Whole;
        var ranges = context.Request.Headers.ContentRange;
        if (ranges.Count > 0)
        {
            var text = ranges.ToString();
            if (UploadRange.Parse(text) is not { } parsed)
                return await RefuseAsync(context, $"Content-Range is '{text}'; expected bytes FROM-TO/TOTAL, for "
                    + "example bytes 0-1048575/5368709120, or * for a total that is not known yet.");
            range = parsed;
        }

        var query = context.Request.Query;
        var hash = query.ContainsKey("sha256") ? query["sha256"].ToString() : null;
        if (hash is not null && !Hash().IsMatch(hash))
            return await RefuseAsync(context, $"sha256 is '{hash}'; expected 64 hexadecimal digits in lower case.");
        var inspect = query.ContainsKey("inspect") ? query["inspect"].ToString() : null;
        if (inspect is not (null or "true" or "false"))
            return await RefuseAsync(context, $"inspect is '{inspect}'; expected true or false.");
        return new UploadRequest(range, hash, inspect != "false");
    }

    private static async Task<UploadRequest?> RefuseAsync(HttpContext context, string detail)
    {
        RequestBodyDrain.LetSend(context);
        await Problem.WriteAsync(context, StatusCodes.Status400BadRequest, detail);
        return null;
    }

    [GeneratedRegex(@"^[0-9a-f]{64}\z")]
    private static partial Regex Hash();
}
