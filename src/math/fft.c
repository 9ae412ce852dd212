/*
 * fft.c
 *	  See fft.h.
 */
#include "math/fft.h"

#include <math.h>

#define TAU 6.283185307179586

static void
swap(double *a, double *b)
{
	double t = *a;

	*a = *b;
	*b = t;
}

/* Puts each number where its index, with the bits reversed, points to. */
static void
reverse_bits(double *data, size_t n)
{
	for (size_t i = 1, j = 0; i < n; i++)
	{
		size_t bit = n >> 1;

		for (; j & bit; bit >>= 1)
			j ^= bit;
		j |= bit;
		if (i < j)
		{
			swap(&data[2 * i], &data[2 * j]);
			swap(&data[2 * i + 1], &data[2 * j + 1]);
		}
	}
}

void
perfopt_fft(double *data, size_t n, double *table)
{
	for (size_t k = 0; k < n / 2; k++)
	{
		table[2 * k] = cos(TAU * (double) k / (double) n);
		table[2 * k + 1] = -sin(TAU * (double) k / (double) n);
	}
	reverse_bits(data, n);
	for (size_t half = 1; half < n; half *= 2)
		for (size_t from = 0; from < n; from += 2 * half)
			for (size_t k = 0; k < half; k++)
			{
				const double *w = table + 2 * (k * (n / 2 / half));
				double *a = data + 2 * (from + k);
				double *b = a + 2 * half;
				double x = b[0] * w[0] - b[1] * w[1];
				double y = b[0] * w[1] + b[1] * w[0];

				b[0] = a[0] - x;
				b[1] = a[1] - y;
				a[0] += x;
				a[1] += y;
			}
}

/* Room for n values and as many zeros as keep the ends from meeting at these lags. */
static size_t
padded(size_t n, size_t lags)
{
	size_t size = 2;

	while (size < n + lags)
		size *= 2;
	return size;
}

size_t
perfopt_autocovariance_scratch(size_t n, size_t lags)
{
	return 3 * padded(n, lags);
}

void
perfopt_autocovariance(const double *v, size_t n, double *cov, size_t lags, double *scratch)
{
	size_t size = padded(n, lags);

	for (size_t i = 0; i < size; i++)
	{
		scratch[2 * i] = i < n ? v[i] : 0;
		scratch[2 * i + 1] = 0;
	}
	perfopt_fft(scratch, size, scratch + 2 * size);
	for (size_t i = 0; i < size; i++)
	{
		scratch[2 * i] = scratch[2 * i] * scratch[2 * i] + scratch[2 * i + 1] * scratch[2 * i + 1];
		scratch[2 * i + 1] = 0;
	}
	/* The spectrum is even, so that forwards and backwards are the same. */
	perfopt_fft(scratch, size, scratch + 2 * size);
	for (size_t k = 0; k < lags; k++)
		cov[k] = scratch[2 * k] / (double) size;
}
