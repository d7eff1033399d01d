using System.Globalization;

namespace Sluice.Storage.Files;

/// <summary>The record of a file that a client uploaded, or that a batch produced.</summary>
/// <param name="Id">The id.</param>
/// <param name="Owner">The id of the API key that may use the file.</param>
/// <param name="Created">When it was stored, by the clock of Redis.</param>
/// <param name="Expires">When it is deleted; null: it is kept until a client deletes it.</param>
/// <param name="Bytes">Its length in bytes.</param>
/// <param name="Purpose">Its purpose, as in OpenAI's API.</param>
/// <param name="Name">The name that the client gave.</param>
/// <param name="Blob">The reference to its bytes, see <see cref="BlobStore"/>.</param>
public sealed record StoredFile(
    string Id,
    string Owner,
    DateTimeOffset Created,
    DateTimeOffset? Expires,
    long Bytes,
    string Purpose,
    string Name,
    string Blob)
{
    /// <summary>Reads the record that <c>file-put.lua</c> writes.</summary>
    /// <exception cref="InvalidDataException">The text is not such a record.</exception>
    internal static StoredFile Read(string id, string record)
    {
        if (record.Split('\n') is not [var head, var blob] || head.Split('|', 6) is not { Length: 6 } parts)
            throw new InvalidDataException($"Record of file {id} is '{record}'; expected two lines with 6 parts");
        return new StoredFile(
            id,
            parts[0],
            At(parts[1]),
            parts[2] == "0" ? null : At(parts[2]),
            long.Parse(parts[3], CultureInfo.InvariantCulture),
            parts[4],
            parts[5],
            blob);
    }

    private static DateTimeOffset At(string seconds) =>
        DateTimeOffset.FromUnixTimeSeconds(long.Parse(seconds, CultureInfo.InvariantCulture));
}
