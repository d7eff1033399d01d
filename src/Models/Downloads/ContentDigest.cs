using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace Sluice.Models.Downloads;

/// <summary>The expected digest of a file.</summary>
/// <param name="Algorithm">How the digest is computed.</param>
/// <param name="Hex">The digest in hexadecimal digits, lower case.</param>
public sealed record ContentDigest(DigestAlgorithm Algorithm, string Hex)
{
    /// <summary>Returns the digest of a file's content, SHA-256.</summary>
    public static ContentDigest Sha256(string hex) => new(DigestAlgorithm.Sha256, hex);

    /// <summary>Starts the computation for a file of a size.</summary>
    public IncrementalHash Start(long size)
    {
        if (Algorithm == DigestAlgorithm.Sha256) return IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        // Git hashes the kind and the size of an object before its content (git-hash-object(1)).
        var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA1);
        hash.AppendData(Encoding.ASCII.GetBytes(string.Create(CultureInfo.InvariantCulture, $"blob {size}\0")));
        return hash;
    }

    /// <summary>The digest with its algorithm, for messages.</summary>
    public override string ToString() => Algorithm == DigestAlgorithm.Sha256 ? $"sha256:{Hex}" : $"git:{Hex}";
}

/// <summary>How a digest is computed.</summary>
public enum DigestAlgorithm
{
    /// <summary>SHA-256 of the content.</summary>
    Sha256,

    /// <summary>SHA-1 of a git object with the content.</summary>
    GitBlob,
}
