using System.Text.Json.Serialization;
using Sluice.Storage.Files;

namespace Sluice.Gateway.OpenAi;

/// <summary>A file, as OpenAI's API describes it.</summary>
/// <param name="Id">The id.</param>
/// <param name="Bytes">Its length.</param>
/// <param name="CreatedAt">When it was stored, in Unix seconds.</param>
/// <param name="ExpiresAt">When it is deleted, in Unix seconds; null: only by a client.</param>
/// <param name="Filename">The name that the client gave.</param>
/// <param name="Purpose">The purpose.</param>
public sealed record FileObject(
    string Id,
    long Bytes,
    [property: JsonPropertyName("created_at")] long CreatedAt,
    [property: JsonPropertyName("expires_at")] long? ExpiresAt,
    string Filename,
    string Purpose)
{
    /// <summary>The type of the object.</summary>
    [JsonPropertyName("object")]
    public string Type => "file";

    /// <summary>The state. A file is complete when it has an id.</summary>
    public string Status => "processed";

    /// <summary>Returns the object of a file.</summary>
    public static FileObject From(StoredFile file) => new(file.Id, file.Bytes, file.Created.ToUnixTimeSeconds(),
        file.Expires?.ToUnixTimeSeconds(), file.Name, file.Purpose);
}

/// <summary>A page of files.</summary>
/// <param name="Data">The files.</param>
/// <param name="FirstId">The id of the first one.</param>
/// <param name="LastId">The id of the last one, for <c>?after=</c>.</param>
/// <param name="HasMore">Whether more follow.</param>
public sealed record ListFilesResponse(
    IReadOnlyList<FileObject> Data,
    [property: JsonPropertyName("first_id")] string? FirstId,
    [property: JsonPropertyName("last_id")] string? LastId,
    [property: JsonPropertyName("has_more")] bool HasMore)
{
    /// <summary>The type of the object.</summary>
    [JsonPropertyName("object")]
    public string Type => "list";
}
