using System.Text.Json.Nodes;

namespace Sluice.Gateway.Responses;

/// <summary>What is stored of a response.</summary>
/// <param name="Response">The response when it was stored. That of a response in the background is its first
/// state.</param>
/// <param name="Items">The items of the conversation before the output: those of earlier responses, then the
/// input.</param>
/// <param name="Job">The job that runs the response in the background; null: the response has ended.</param>
internal sealed record ResponseRecord(JsonObject Response, JsonArray Items, BackgroundJob? Job = null)
{
    public string Id => (string)Response["id"]!;

    /// <summary>Reads a stored record.</summary>
    /// <exception cref="InvalidDataException">The bytes are not a record.</exception>
    public static ResponseRecord Parse(byte[] stored)
    {
        if (ResponseJson.Parse(stored, out var why) is not { } json || json["response"] is not JsonObject response
            || json["items"] is not JsonArray items)
            throw new InvalidDataException($"A stored response is not valid: {why}");
        return new ResponseRecord(response, items, json["job"] is not JsonObject job ? null : new BackgroundJob(
            (string)job["endpoint"]!, (string)job["id"]!, (bool)job["streamed"]!));
    }

    /// <summary>Returns the record as it is stored.</summary>
    public byte[] Write() => ResponseJson.WriteBytes(new JsonObject
    {
        ["response"] = Response.DeepClone(),
        ["items"] = Items.DeepClone(),
        ["job"] = Job is not { } job ? null : new JsonObject
        {
            ["endpoint"] = job.EndpointId,
            ["id"] = job.Id,
            ["streamed"] = job.IsStreamed,
        },
    });

    /// <summary>Returns the items that precede the input of a response that continues this conversation.</summary>
    /// <param name="ended">This response after its end.</param>
    public JsonArray Conversation(JsonObject ended)
    {
        var all = (JsonArray)Items.DeepClone();
        foreach (var item in ended["output"] as JsonArray ?? []) all.Add(item?.DeepClone());
        return all;
    }
}

/// <summary>The job of a response in the background.</summary>
/// <param name="EndpointId">Its endpoint.</param>
/// <param name="Id">Its id.</param>
/// <param name="IsStreamed">Whether it has a log of the stream.</param>
internal sealed record BackgroundJob(string EndpointId, string Id, bool IsStreamed);
